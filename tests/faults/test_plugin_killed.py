"""Kill -9 of the plugin at every step: the next one finds one pot or none, tells the truth, and leaves nothing."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from pot_driver.operator.agent import CallFailed
from tests.faults import steps
from tests.lifecycle.scene import GATED, QUIET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from tests.faults.steps import Step
    from tests.lifecycle.conftest import Stage
    from tests.lifecycle.scene import Run, Scene

pytestmark = [pytest.mark.namespaces, pytest.mark.slow, pytest.mark.timeout(200)]


@asynccontextmanager
async def killed_at(scene: Scene, step: Step, how: str, call: Awaitable[object]) -> AsyncIterator[None]:
    """The call is made, and at that step the plugin is killed; the block is what happens next.

    `undone`: the command dies with the plugin, before it has done anything. `orphaned`: it goes on beside what
    happens next. `done`: it has done all, and nobody was told.
    """
    word, number = step
    scene.wire.set(word, "after" if how == "done" else "before", nth=number)
    async with asyncio.TaskGroup() as group:
        calling = group.create_task(_broken(call))
        command = await scene.wire.held()
        await scene.crash()
        await calling
    if how == "orphaned":
        scene.wire.go()
    else:
        kill = os.killpg if os.getpgid(command) == command else os.kill  # `pot start` is one of its keeper's group
        kill(command, signal.SIGKILL)
    scene.wire.forget()
    yield


async def _broken(call: Awaitable[object]) -> None:
    with pytest.raises(CallFailed):
        await call


HOW = ("undone", "orphaned", "done")
START = [(step, how) for step in steps.start() for how in HOW if (step[0], how) != ("pot start", "done")]
FORGOTTEN = [(step, how) for step, how in START if how == "done" or step[0] == "pot start"]
STOP = [(step, how) for step in steps.stopped() for how in HOW]
DESTROY = [(step, how) for step in steps.destroyed() for how in HOW]


def ids(cases: list[tuple[Step, str]]) -> list[str]:
    return [f"{steps.name(step)} {how}" for step, how in cases]


async def test_the_lists_of_steps_are_what_is_called(stage: Stage) -> None:
    async with stage() as scene:
        run = scene.place(QUIET, config=steps.JOB)
        await scene.without_image()
        await scene.start(run)
        planned = [word for word, _ in steps.start()]
        assert scene.wire.calls[-len(planned) :] == planned  # before, a shell may have looked at the image's hash

        await run.heard(b"ready\n")
        await scene.settled(run)
        scene.wire.forget()
        await scene.stop(run, 2, "SIGINT")
        await scene.wait(run)
        assert scene.wire.calls == ["jls", *(word for word, _ in steps.stopped()), "jls"]  # the first to signal it

        scene.wire.forget()
        await scene.destroy(run)
        assert scene.wire.calls == [word for word, _ in steps.destroyed()]


@pytest.mark.parametrize(("step", "how"), START, ids=ids(START))
async def test_start_asked_again_after_a_crash_makes_one_pot(stage: Stage, step: Step, how: str) -> None:
    async with stage() as scene:
        run = scene.place(GATED, config=steps.JOB)
        await scene.without_image()
        async with killed_at(scene, step, how, scene.start(run)):
            await scene.launch()
            run.listen()
            await scene.start(run)

        assert scene.pots() == scene.jails() == [run.pot]
        await run.heard(b"ready\n")
        await ends_with(scene, run, 3)


@pytest.mark.parametrize(("step", "how"), FORGOTTEN, ids=ids(FORGOTTEN))
async def test_a_start_that_an_agent_forgot_goes_when_the_task_is_started_anew(
    stage: Stage, step: Step, how: str
) -> None:
    async with stage() as scene:
        forgotten = scene.place(GATED, config=steps.JOB)
        await scene.without_image()
        async with killed_at(scene, step, how, scene.start(forgotten)):
            await scene.launch()
            run = scene.place(after=forgotten)
            await scene.start(run)

        assert scene.jails() == [run.pot]
        await run.heard(b"ready\n")
        await ends_with(scene, run, 4)


@pytest.mark.parametrize(("step", "how"), STOP, ids=ids(STOP))
async def test_a_stop_asked_again_after_a_crash_tells_the_true_end(stage: Stage, step: Step, how: str) -> None:
    async with stage() as scene:
        run = await scene.begin(QUIET)
        await scene.settled(run)
        scene.wire.forget()
        async with killed_at(scene, step, how, scene.stop(run, 6, "SIGINT")):
            await scene.launch()
            await scene.recover(run)
            await scene.stop(run, 6, "SIGINT")
            assert scene.jails() == []

        ended = await scene.wait(run)
        assert (ended.result.exit_code, ended.err) == (7, "")
        await scene.destroy(run)
        assert scene.left() == []


@pytest.mark.parametrize(("step", "how"), DESTROY, ids=ids(DESTROY))
async def test_a_destroy_that_was_cut_is_gone_on_with(stage: Stage, step: Step, how: str) -> None:
    async with stage() as scene:
        run = await scene.begin(GATED)
        await run.tell(3)
        await scene.wait(run)
        scene.wire.forget()
        async with killed_at(scene, step, how, scene.destroy(run)):
            await scene.launch()
            try:
                await scene.recover(run)
            except CallFailed:
                pass  # too little is left to tell the result
            else:
                assert (await scene.wait(run)).result.exit_code == 3
            await scene.destroy(run)

        assert scene.left() == []


async def ends_with(scene: Scene, run: Run, code: int) -> None:
    """Its true result is told, and nothing is left."""
    await run.tell(code)
    ended = await scene.wait(run)
    assert (ended.result.exit_code, ended.err) == (code, "")
    await run.silent()
    await scene.destroy(run)
    assert scene.left() == []
