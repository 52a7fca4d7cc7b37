"""What a FreeBSD host does and Linux does not: names that pot cannot signal, dying jails, busy datasets, chroot(8)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pot_sim import faults
from tests.lifecycle.scene import QUIET

if TYPE_CHECKING:
    from tests.lifecycle.conftest import Stage

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]

TRAPS = "trap 'exit 5' USR1; echo ready; while :; do sleep 1 & wait $!; done"


async def test_signals_arrive_where_pot_signal_refuses_every_name(stage: Stage) -> None:
    async with stage() as scene:
        faults.add(scene.root, "signal")
        run = await scene.begin(TRAPS)
        await scene.settled(run)
        await scene.stop(run, 20, "SIGUSR1")

        assert (await scene.wait(run)).result.exit_code == 5
        await scene.destroy(run)
        assert scene.left() == []


async def test_a_jail_that_stays_dying_is_over_and_its_name_can_be_taken_again(stage: Stage) -> None:
    async with stage() as scene:
        faults.add(scene.root, "dying 600")
        run = await scene.begin(QUIET)
        for _ in range(2):
            await scene.settled(run)
            await scene.stop(run, 20)
            assert (await scene.wait(run)).result.exit_code == 7
            await scene.destroy(run)
            assert scene.left() == []
            run = scene.place(after=run)
            await scene.start(run)
        await scene.destroy(run)
        assert scene.left() == []


async def test_datasets_that_are_busy_for_a_moment_are_destroyed_after_it(stage: Stage) -> None:
    async with stage() as scene:
        faults.add(scene.root, "busy 2")
        run = await scene.begin(QUIET)
        await scene.settled(run)
        await scene.stop(run, 20)
        await scene.destroy(run)
        while scene.left():  # noqa: ASYNC110 - what is left over is tried again in the background
            await asyncio.sleep(0.1)


async def test_a_task_of_a_user_runs_in_a_stock_image(stage: Stage) -> None:
    async with stage() as scene:
        ended = await scene.run('[ "$(id -un):$(id -gn)" = www:www ] && exit 4', user="www")

        assert (ended.result.exit_code, ended.err) == (4, "")
