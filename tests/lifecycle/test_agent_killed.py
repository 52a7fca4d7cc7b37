"""Kill -9 of the agent: the plugin lives on with broken pipes, finishes what it was asked, and doubles no task."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from pot_driver.operator.agent import CallFailed
from tests.lifecycle.scene import GATED, QUIET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from tests.lifecycle.conftest import Stage
    from tests.lifecycle.scene import Scene

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]


@asynccontextmanager
async def agent_killed(scene: Scene, word: str, call: Awaitable[object]) -> AsyncIterator[None]:
    """The agent dies while the plugin, for this call of its, is at that command."""
    scene.wire.forget()
    scene.wire.set(word, "before")
    async with asyncio.TaskGroup() as group:
        calling = group.create_task(_broken(call))
        await scene.wire.held()
        await scene.crash_agent()
        await calling
    yield
    scene.wire.forget()


async def _broken(call: Awaitable[object]) -> None:
    with pytest.raises((CallFailed, asyncio.CancelledError)):
        await call


async def nothing_left(scene: Scene) -> None:
    while scene.left():  # noqa: ASYNC110 - nobody is there whom the plugin could tell
        await asyncio.sleep(0.1)


async def test_a_task_runs_on_and_is_not_doubled(stage: Stage) -> None:
    async with stage() as scene:
        run = await scene.begin(GATED)
        await scene.crash_agent()
        await scene.reattach()
        await scene.recover(run)
        assert scene.jails() == [run.pot]
        assert run.begun == 1

        await run.tell(6)
        assert (await scene.wait(run)).result.exit_code == 6
        await run.silent()
        await scene.destroy(run)
        assert scene.left() == []


async def test_a_stop_is_carried_through(stage: Stage) -> None:
    async with stage() as scene:
        run = await scene.begin(QUIET)
        await scene.settled(run)
        async with agent_killed(scene, "pot stop", scene.stop(run, 20)):
            scene.wire.go()
            await run.silent()
        await scene.reattach()
        await scene.recover(run)
        ended = await scene.wait(run)
        assert (ended.result.exit_code, ended.err) == (7, "")
        await scene.destroy(run)
        assert scene.left() == []


async def test_a_destroy_is_carried_through(stage: Stage) -> None:
    async with stage() as scene:
        run = await scene.begin(GATED)
        await run.tell(0)
        await scene.wait(run)
        async with agent_killed(scene, "pot destroy", scene.destroy(run)):
            scene.wire.go()
            await nothing_left(scene)


@pytest.mark.parametrize("word", ["pot import", "pot clone", "keeper", "pot start"])
async def test_a_start_for_which_nobody_waits_any_more_is_undone(stage: Stage, word: str) -> None:
    async with stage() as scene:
        run = scene.place(QUIET)
        await scene.without_image()
        async with agent_killed(scene, word, scene.start(run)):
            scene.wire.go()
            await nothing_left(scene)
        await scene.reattach()
        again = scene.place(after=run)
        await scene.start(again)
        assert scene.jails() == [again.pot]
        await scene.destroy(again)
        assert scene.left() == []


async def test_a_start_that_fails_is_undone_though_nobody_waits(stage: Stage) -> None:
    async with stage() as scene:
        run = scene.place(QUIET)
        scene.wire.set("pot destroy", "before")
        async with asyncio.TaskGroup() as group:
            calling = group.create_task(_broken(scene.start(run)))
            scene.wire.set("pot start", "fail")
            await scene.wire.held()
            await scene.crash_agent()
            await calling
        scene.wire.go()
        await nothing_left(scene)


async def test_the_next_run_waits_for_the_removal_of_the_one_that_was_forgotten(stage: Stage) -> None:
    async with stage() as scene:
        run = scene.place(QUIET)
        async with agent_killed(scene, "pot clone", scene.start(run)):
            await scene.reattach()
            again = scene.place(after=run)
            async with asyncio.TaskGroup() as group:
                group.create_task(scene.start(again))
                scene.wire.go()

        assert scene.pots() == scene.jails() == [again.pot]
        await again.heard(b"ready\n")
        done = await scene.agent.exec_task(again.id, ["/bin/sh", "-c", "exit 8"], 30)
        assert done.result.exit_code == 8  # its scripts are its own
        await scene.destroy(again)
        assert scene.left() == []
