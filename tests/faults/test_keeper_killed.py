"""Kill -9 of the keeper, or of `pot start`, at any time: the jail is asked instead, and nothing is lost but words."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest

from pot_driver.operator.agent import CallFailed
from tests.faults import steps
from tests.lifecycle.scene import GATED, QUIET

if TYPE_CHECKING:
    from tests.lifecycle.conftest import Stage
    from tests.lifecycle.scene import Run, Scene

pytestmark = [pytest.mark.namespaces, pytest.mark.slow, pytest.mark.timeout(200)]


async def test_before_the_app_runs_it_is_started_all_the_same_or_nothing_is_left(stage: Stage) -> None:
    """`pot start` goes on without its keeper; a start that is not seen to run is undone."""
    async with stage() as scene:
        run = scene.place(GATED)
        scene.wire.set("pot start", "before")
        async with asyncio.TaskGroup() as group:
            starting = group.create_task(_started(scene, run))
            await scene.wire.held()
            os.kill(scene.keeper(run), signal.SIGKILL)
            scene.wire.go()
        if starting.result():
            await run.heard(b"ready\n")
            await run.tell(3)
            assert (await scene.wait(run)).result.exit_code == 3
            await scene.destroy(run)
        assert scene.left() == []


async def _started(scene: Scene, run: Run) -> bool:
    try:
        await scene.start(run)
    except CallFailed as error:
        if "its keeper was killed" not in str(error):
            raise
        return False
    return True


@pytest.mark.parametrize("all_jails", ["listed", "not to be listed"])
async def test_while_it_runs_the_apps_own_code_is_told(stage: Stage, all_jails: str) -> None:
    async with stage() as scene:
        if all_jails != "listed":
            scene.wire.set("jls for name", "fail")
        run = await scene.begin(GATED)
        await scene.settled(run)
        os.kill(scene.keeper(run), signal.SIGKILL)
        await run.tell(3)
        ended = await scene.wait(run)
        assert (ended.result.exit_code, ended.err) == (3, "")
        await scene.destroy(run)
        assert scene.left() == []


async def test_with_the_plugin_both_are_gone_and_the_next_plugin_tells_the_code(stage: Stage) -> None:
    async with stage() as scene:
        run = await scene.begin(GATED)
        await scene.settled(run)
        os.kill(scene.keeper(run), signal.SIGKILL)
        await scene.crash()
        await scene.launch()
        await scene.recover(run)
        await run.tell(4)
        assert (await scene.wait(run)).result.exit_code == 4
        await scene.destroy(run)
        assert scene.left() == []


async def test_with_pot_start_the_code_is_unknown_and_never_a_success(stage: Stage) -> None:
    async with stage() as scene:
        run = await scene.begin(GATED)
        await scene.settled(run)
        os.kill(scene.pot_start(run), signal.SIGKILL)
        await run.tell(0)
        ended = await scene.wait(run)
        assert ended.result.exit_code == -1
        assert "exit code unknown" in ended.err
        await scene.destroy(run)
        assert scene.left() == []


@pytest.mark.parametrize("word", [word for word, _ in steps.stopped()])
async def test_in_a_stop_the_jail_goes_and_the_code_is_told(stage: Stage, word: str) -> None:
    async with stage() as scene:
        run = await scene.begin(QUIET)
        await scene.settled(run)
        scene.wire.forget()
        scene.wire.set(word, "before")
        async with asyncio.TaskGroup() as group:
            group.create_task(scene.stop(run, 6, "SIGINT"))
            await scene.wire.held()
            os.kill(scene.keeper(run), signal.SIGKILL)
            scene.wire.go()
        assert scene.jails() == []
        ended = await scene.wait(run)
        assert (ended.result.exit_code, ended.err) == (7, "")
        await scene.destroy(run)
        assert scene.left() == []
