"""A stop at a time at which nobody expects it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pot_driver.operator.agent import CallFailed
from pot_sim import faults
from tests.lifecycle.scene import GATED, QUIET

if TYPE_CHECKING:
    from tests.lifecycle.conftest import Stage
    from tests.lifecycle.scene import Run, Scene

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]


async def _refused(scene: Scene, run: Run) -> None:
    with pytest.raises(CallFailed, match="was given up: it is to be stopped"):
        await scene.start(run)


@pytest.mark.parametrize("word", ["pot import", "pot clone", "pot start"])
async def test_a_task_that_is_starting_is_given_up_and_undone(stage: Stage, word: str) -> None:
    async with stage() as scene:
        run = scene.place(QUIET)
        await scene.without_image()
        scene.wire.set(word, "hang")
        async with asyncio.TaskGroup() as group:
            group.create_task(_refused(scene, run))
            while word not in scene.wire.calls:  # noqa: ASYNC110 - who hangs tells nobody
                await asyncio.sleep(0.05)
            await scene.stop(run, 5)
        assert scene.left() == []


async def test_a_natural_end_and_a_stop_at_once_have_one_result(stage: Stage) -> None:
    async with stage() as scene:
        run = scene.place(GATED)
        for _ in range(8):
            await scene.start(run)
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(scene.wait(run))
                group.create_task(run.tell(3))
                group.create_task(scene.stop(run, 5))
            assert waiting.result().result.exit_code in {3, 143}
            assert (await scene.wait(run)) == waiting.result()
            await run.silent()
            await scene.destroy(run)
            run = scene.place(after=run)
        assert scene.left() == []


@pytest.mark.parametrize("signal", ["usr1", "SIGUSR1", "30"])
async def test_signals_are_taken_by_any_of_their_names(stage: Stage, signal: str) -> None:
    async with stage() as scene:
        run = await scene.begin("trap 'exit 4' USR1; echo ready; while :; do sleep 1 & wait $!; done")
        await scene.settled(run)
        await scene.stop(run, 20, signal)
        assert (await scene.wait(run)).result.exit_code == 4
        await scene.destroy(run)


async def test_no_signal_goes_through_pot(stage: Stage) -> None:
    """Which on FreeBSD 12 refuses every name."""
    async with stage() as scene:
        run = await scene.begin("trap 'echo got it' USR1; echo ready; while :; do sleep 1 & wait $!; done")
        scene.wire.set("pot signal", "fail", nth=None)
        await scene.agent.signal_task(run.id, "SIGUSR1")
        await run.heard(b"got it")
        await scene.stop(run, 20, "SIGKILL")

        assert (await scene.wait(run)).result.signal == 9
        assert "pot signal" not in scene.wire.calls
        await scene.destroy(run)
        assert scene.left() == []


async def test_a_signal_to_a_task_that_has_just_ended_is_no_error(stage: Stage) -> None:
    """While pot still clears up the task is alive for Nomad, whose template may signal it."""
    async with stage() as scene:
        run = await scene.begin(GATED)
        await scene.settled(run)
        faults.add(scene.root, "slow stop 3")
        await run.tell(3)
        async with asyncio.timeout(60):
            while Path(scene.root.tmp, f"pot_main_pid_{run.pot}").exists():  # noqa: ASYNC110 - pot tells nobody
                await asyncio.sleep(0.02)
        await scene.agent.signal_task(run.id, "SIGHUP")

        assert (await scene.wait(run)).result.exit_code == 3
        await scene.destroy(run)
