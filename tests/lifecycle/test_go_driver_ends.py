"""What the Go driver did wrong with ends, stops and recoveries, under the names of its bugs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pot_driver._proto.plugins.drivers.proto import driver_pb2 as pb
from pot_driver.operator.agent import CallFailed
from tests.lifecycle.scene import GATED, QUIET

if TYPE_CHECKING:
    from tests.lifecycle.conftest import Stage

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]


async def test_b21_a_stop_is_signal_then_time_then_force(stage: Stage) -> None:
    async with stage() as scene:
        run = await scene.begin("trap 'echo usr; exit 9' USR1; echo ready; while :; do sleep 1 & wait $!; done")
        await scene.settled(run)
        await scene.stop(run, 30, "SIGUSR1")

        assert (await scene.wait(run)).result.exit_code == 9
        assert b"usr" in run.output["stdout"]
        await scene.destroy(run)


async def test_b22_a_destroy_that_fails_is_told_and_can_be_repeated(stage: Stage) -> None:
    async with stage() as scene:
        run = await scene.begin(GATED)
        await run.tell(0)
        await scene.wait(run)
        scene.wire.set("pot destroy", "fail", nth=None)
        with pytest.raises(CallFailed, match=r"cannot remove pot .*no such luck"):
            await scene.destroy(run)

        scene.wire.forget()
        await scene.destroy(run)
        assert scene.left() == []


async def test_b23_a_forced_destroy_ends_the_jail_and_an_unforced_one_is_refused(stage: Stage) -> None:
    async with stage() as scene:
        run = await scene.begin(QUIET)
        with pytest.raises(CallFailed, match="cannot destroy running task"):
            await scene.destroy(run, force=False)
        assert scene.jail_lives(run)

        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(scene.wait(run))
            await scene.destroy(run)
        assert waiting.result().result.exit_code
        assert scene.left() == []


async def test_b24_state_and_result_come_together_and_stay(stage: Stage) -> None:
    async with stage() as scene:
        run = await scene.begin(GATED)
        await run.tell(7)
        results = set()
        while True:
            status = await scene.agent.inspect_task(run.id)
            if status.task.state == pb.EXITED:
                results.add(status.task.result.exit_code)
                break
            assert status.task.result.exit_code == 0
        results.update([(await scene.wait(run)).result.exit_code for _ in range(10)])

        assert results == {7}
        await scene.destroy(run)


async def test_b25_a_task_that_ends_at_once_ends_once(stage: Stage) -> None:
    async with stage() as scene:
        run = scene.place("exit 6")
        await scene.start(run)

        assert (await scene.wait(run)).result.exit_code == 6
        assert (await scene.agent.inspect_task(run.id)).task.state == pb.EXITED
        await scene.destroy(run)


async def test_b26_a_start_repeated_after_a_crash_adopts_the_living_pot(stage: Stage) -> None:
    async with stage() as scene:
        run = await scene.begin(GATED)
        await scene.crash()
        await scene.launch()
        await scene.start(run)

        assert scene.jails() == [run.pot]
        assert run.begun == 1
        await run.tell(4)
        assert (await scene.wait(run)).result.exit_code == 4
        await scene.destroy(run)
        assert scene.left() == []


async def test_b27_a_recovered_task_keeps_its_start_and_a_graceful_end_of_the_plugin_leaves_it_alone(
    stage: Stage,
) -> None:
    async with stage() as scene:
        run = await scene.begin(GATED)
        started = (await scene.agent.inspect_task(run.id)).task.started_at
        await scene.restart_agent()
        await scene.recover(run)
        task = (await scene.agent.inspect_task(run.id)).task

        assert task.started_at == started
        assert task.state == pb.RUNNING
        assert task.completed_at.seconds <= 0
        await scene.restart_agent()
        assert scene.jail_lives(run)
        await scene.recover(run)
        await run.tell(2)
        assert (await scene.wait(run)).result.exit_code == 2
        await scene.destroy(run)


async def test_b28_a_stop_by_hand_and_a_missing_exit_code_are_no_success(stage: Stage) -> None:
    async with stage() as scene:
        stopped = await scene.begin("trap - TERM; echo ready; while :; do sleep 1; done")
        await scene.settled(stopped)
        assert (await scene.pot("stop", "-p", stopped.pot))[0] == 0
        ended = await scene.wait(stopped)
        assert (ended.result.exit_code, ended.result.signal) == (143, 15)
        assert ended.err == "the pot was stopped by someone else on the host"
        await scene.destroy(stopped)

        destroyed = await scene.begin(QUIET)
        await scene.settled(destroyed)
        assert (await scene.pot("destroy", "-F", "-p", destroyed.pot))[0] == 0
        ended = await scene.wait(destroyed)
        assert ended.result.exit_code
        assert ended.err
        await scene.destroy(destroyed)
        assert scene.left() == []


async def test_b29_a_jail_that_cannot_start_is_told_in_pots_words(stage: Stage) -> None:
    async with stage() as scene:
        Path(scene.root.faults).write_text("jail\n")
        try:
            run = scene.place()
            with pytest.raises(CallFailed, match=r"the jail did not start: .*jail_set: Invalid argument"):
                await scene.start(run)
        finally:
            Path(scene.root.faults).unlink()
        assert [line.fields["task_id"] for line in scene.log if line.fields.get("verb") == "clone"] == [run.id]
        assert scene.left() == []


async def test_b30_log_pipes_are_closed_with_every_run(stage: Stage) -> None:
    async with stage() as scene:
        run = scene.place("exit 0")
        files = []
        for _ in range(8):
            await scene.start(run)
            await scene.wait(run)
            await run.silent()
            await scene.destroy(run)
            files.append(len(list(Path(f"/proc/{scene.plugin.pid}/fd").iterdir())))
            run = scene.place(after=run)

        assert files[-1] <= files[1]


async def test_b43_times_of_start_and_end_are_told(stage: Stage) -> None:
    async with stage() as scene:
        run = await scene.begin(GATED)
        running = (await scene.agent.inspect_task(run.id)).task
        assert running.started_at.seconds > 0
        await run.tell(0)
        await scene.wait(run)
        ended = (await scene.agent.inspect_task(run.id)).task

        assert ended.started_at == running.started_at
        assert ended.completed_at.ToNanoseconds() >= ended.started_at.ToNanoseconds()
        await scene.destroy(run)


async def test_b45_prune_takes_no_task_whose_end_nobody_has_read(stage: Stage) -> None:
    async with stage() as scene:
        run = await scene.begin(GATED)
        await scene.crash()
        await run.tell(3)
        await run.silent()
        assert (await scene.pot("prune"))[0] == 0
        await scene.launch()
        await scene.recover(run)

        assert (await scene.wait(run)).result.exit_code == 3
        await scene.destroy(run)
        assert scene.left() == []
