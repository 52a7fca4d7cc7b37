"""What Nomad asks of any driver, case by case: start, wait, stop, destroy, recover.

The numbers are those of the project's list of conformance cases.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import msgpack
import pytest

from pot_driver._proto.plugins.base.proto import base_pb2
from pot_driver._proto.plugins.drivers.proto import driver_pb2 as pb
from pot_driver.operator.agent import CallFailed
from pot_driver.operator.host import Plugin
from tests.lifecycle.scene import GATED, PLUGIN, QUIET

if TYPE_CHECKING:
    from tests.lifecycle.conftest import Stage

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]

RECOVERABLE = b"RecoverableError"


async def together(*calls: object) -> list[object]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call) for call in calls]  # type: ignore[arg-type]
    return [task.result() for task in tasks]


async def refusal(call: object) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call  # type: ignore[misc]
    return caught.value


def stored(handle: pb.TaskHandle) -> pb.TaskHandle:
    """A handle as it comes back after an agent's restart: without the driver's config."""
    kept = pb.TaskHandle()
    kept.CopyFrom(handle)
    kept.config.ClearField("msgpack_driver_config")
    return kept


async def test_case_20_a_started_task_has_a_whole_handle_and_runs(stage: Stage) -> None:
    async with stage() as scene:
        run = await scene.begin()
        handle = run.handle
        assert handle is not None
        task = (await scene.plugin.driver.InspectTask(pb.InspectTaskRequest(task_id=run.id))).task

        assert handle.version >= 1
        assert handle.config == run.config
        assert handle.driver_state
        assert (handle.state, task.state) == (pb.RUNNING, pb.RUNNING)
        assert task.HasField("started_at")
        assert task.HasField("completed_at")
        assert task.HasField("result")
        await scene.destroy(run)


async def test_case_21_a_second_start_of_the_same_id_is_refused_and_harms_nothing(stage: Stage) -> None:
    async with stage() as scene:
        run = await scene.begin(GATED)
        error = await refusal(scene.plugin.driver.StartTask(pb.StartTaskRequest(task=run.config)))
        await run.tell(4)

        assert "already started" in (error.details() or "")
        assert (await scene.wait(run)).result.exit_code == 4
        assert run.begun == 1
        await scene.destroy(run)


async def test_case_22_what_passes_is_recoverable_and_what_does_not_is_not(stage: Stage) -> None:
    async with stage(timeouts={"prepare": "8s"}) as scene:
        passing = scene.place(config={"image": "http://127.0.0.1:9", "tag": "never.seen"})
        hanging = scene.place(config={"copy": ["/etc/passwd:/root/users"]})
        scene.wire.set("pot clone", "hang")
        absent = scene.place(config={"tag": "no.such"})
        wrong = scene.place(config={"network_mode": "bogus"})
        details = []
        for run in (passing, hanging, absent, wrong):
            error = await refusal(scene.plugin.driver.StartTask(pb.StartTaskRequest(task=run.config)))
            trailing = error.trailing_metadata() or ()
            details.append(any(isinstance(value, bytes) and RECOVERABLE in value for _, value in trailing))

        assert details == [True, True, False, False]
        assert scene.left() == []
        again = await scene.begin(after=scene.place())
        await scene.destroy(again)


async def test_case_23_a_start_that_died_in_clone_is_repeated_without_a_second_pot(stage: Stage) -> None:
    async with stage() as scene:
        run = scene.place()
        scene.wire.set("pot clone", "before")
        async with asyncio.TaskGroup() as group:
            starting = group.create_task(refusal(scene.plugin.driver.StartTask(pb.StartTaskRequest(task=run.config))))
            await scene.wire.held()
            await scene.crash()
            assert (await starting).code() is grpc.StatusCode.UNAVAILABLE
        scene.wire.go()
        scene.wire.forget()
        await scene.launch()
        await scene.start(run)
        await run.heard(b"ready\n")

        assert scene.pots() == [run.pot]
        assert run.begun == 1
        await scene.destroy(run)
        assert scene.left() == []


async def test_case_24_a_log_reader_that_comes_late_misses_nothing_and_holds_up_nobody(
    stage: Stage, tmp_path: Path
) -> None:
    async with stage() as scene:
        run = scene.place("echo early; exit 0")
        late = tmp_path / "late"
        os.mkfifo(late, 0o600)
        run.config.stdout_path = str(late)
        async with asyncio.TaskGroup() as group:
            starting = group.create_task(scene.start(run))
            info = await scene.plugin.base.PluginInfo(base_pb2.PluginInfoRequest())
            assert not starting.done()
        with late.open("rb") as log:
            output = await asyncio.to_thread(log.read)
        ended = await scene.wait(run)

        assert info.name == "pot"
        assert output == b"early\n"
        assert ended.result.exit_code == 0
        await scene.destroy(run)


async def test_case_25_a_log_that_is_not_nomads_pipe_is_refused(stage: Stage, tmp_path: Path) -> None:
    async with stage() as scene:
        trap = tmp_path / "trap"
        trap.write_text("")
        link, absent = tmp_path / "link", tmp_path / "absent"
        link.symlink_to(trap)
        for path in (link, trap, absent):
            run = scene.place()
            run.config.stdout_path = str(path)
            error = await refusal(scene.plugin.driver.StartTask(pb.StartTaskRequest(task=run.config)))
            assert "cannot open the task's log" in (error.details() or "")

        assert trap.read_text() == ""
        for path in ("", "/dev/null"):
            run = scene.place("exit 5")
            run.config.stdout_path = run.config.stderr_path = path
            await scene.start(run)
            assert (await scene.wait(run)).result.exit_code == 5
            await scene.destroy(run)


async def test_case_26_output_arrives_apart_whole_and_before_the_end_is_told(stage: Stage) -> None:
    async with stage() as scene:
        run = scene.place("head -c 10485760 /dev/zero; echo err >&2")
        await scene.start(run)
        await scene.wait(run)
        await run.silent()

        assert len(run.output["stdout"]) == 10485760
        assert bytes(run.output["stderr"]) == b"err\n"
        await scene.destroy(run)


async def test_case_27_many_starts_at_once_hold_up_nobody_else(stage: Stage) -> None:
    async with stage() as scene:
        runs = [scene.place("echo ready; exit 0") for _ in range(30)]
        async with asyncio.TaskGroup() as group:
            starting = [group.create_task(scene.start(run)) for run in runs]
            info = await scene.plugin.base.PluginInfo(base_pb2.PluginInfoRequest())
            assert not all(start.done() for start in starting)
        ends = await together(*(scene.wait(run) for run in runs))

        assert info.name == "pot"
        assert {end.result.exit_code for end in ends} == {0}  # type: ignore[attr-defined]
        await together(*(scene.destroy(run) for run in runs))
        assert scene.left() == []


async def test_case_28_all_who_wait_get_the_same_result_early_or_late(stage: Stage) -> None:
    async with stage() as scene:
        run = await scene.begin(GATED)
        async with asyncio.TaskGroup() as group:
            early = [group.create_task(scene.wait(run)) for _ in range(10)]
            await run.tell(9)
        ends = [waiting.result() for waiting in early] + [await scene.wait(run), await scene.wait(run)]
        await scene.destroy(run)

        assert all(end.HasField("result") for end in ends)
        assert {end.SerializeToString() for end in ends} == {ends[0].SerializeToString()}
        assert ends[0].result.exit_code == 9
        error = await refusal(scene.wait(run))
        assert "task not found" in (error.details() or "")


async def test_case_29_a_waiter_who_gives_up_disturbs_nobody(stage: Stage) -> None:
    async with stage() as scene:
        run = await scene.begin(GATED)
        async with asyncio.TaskGroup() as group:
            staying = group.create_task(scene.wait(run))
            leaving = scene.plugin.driver.WaitTask(pb.WaitTaskRequest(task_id=run.id))
            await scene.agent.inspect_task(run.id)  # sent later on the same connection
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
            assert scene.jail_lives(run)
            await run.tell(3)

        assert staying.result().result.exit_code == 3
        await scene.destroy(run)


@pytest.mark.parametrize(
    ("script", "code", "number"),
    [("exit 0", 0, 0), ("exit 3", 3, 0), ("exit 255", 255, 0), ("kill -KILL $$", 137, 9), ("kill -TERM $$", 143, 15)],
)
async def test_case_30_the_code_is_the_apps_own(stage: Stage, script: str, code: int, number: int) -> None:
    async with stage() as scene:
        ended = await scene.run(script)

        assert (ended.result.exit_code, ended.result.signal, ended.err) == (code, number, "")


DEAF = "trap '' TERM; echo ready; while :; do sleep 1; done"
TRAPS = "trap 'exit 5' USR1; trap 'exit 7' TERM; echo ready; while :; do sleep 1 & wait $!; done"


@pytest.mark.parametrize(
    ("script", "timeout_s", "name", "code"),
    [
        (TRAPS, 20, "SIGUSR1", 5),
        (TRAPS, 20, "usr1", 5),
        (TRAPS, 20, "", 7),
        (TRAPS, 20, "SIGBOGUS", 7),
        (QUIET, 4, "SIGINT", 7),
        (DEAF, 1, "", 137),
        (TRAPS, 0, "", 137),
    ],
    ids=["signal", "lower case", "default", "unknown name", "ignored INT", "deaf", "no time"],
)
async def test_case_31_stop_asks_as_told_and_then_kills(
    stage: Stage, script: str, timeout_s: int, name: str, code: int
) -> None:
    async with stage() as scene:
        run = await scene.begin(script)
        await scene.settled(run)
        await scene.stop(run, timeout_s, name)

        assert not scene.jail_lives(run)
        assert (await scene.wait(run)).result.exit_code == code
        await scene.destroy(run)


async def test_case_32_stops_at_once_after_the_end_and_of_nobody_are_safe(stage: Stage) -> None:
    async with stage() as scene:
        run = await scene.begin()
        await together(*(scene.stop(run, 10) for _ in range(3)))
        await scene.stop(run, 10)

        assert (await scene.wait(run)).result.exit_code == 7
        with pytest.raises(CallFailed, match="task not found"):
            await scene.agent.stop_task("nobody/t/01234567", 1, "")
        await scene.destroy(run)


async def test_case_32_a_stop_that_meets_the_natural_end_leaves_one_truth(stage: Stage) -> None:
    script = "trap 'exit 7' TERM; echo ready; read code </local/gate & wait $!; exit 6"
    async with stage() as scene:
        for _ in range(5):
            runs = [await scene.begin(script) for _ in range(4)]
            await together(*(call for run in runs for call in (scene.stop(run, 5), run.tell(0))))
            ends = await together(*(scene.wait(run) for run in runs))
            assert {end.result.exit_code for end in ends} <= {6, 7}  # type: ignore[attr-defined]
            await together(*(scene.destroy(run) for run in runs))

        assert scene.left() == []


async def test_case_33_destroy_needs_force_for_a_running_task_and_leaves_nothing(stage: Stage) -> None:
    async with stage() as scene:
        run = await scene.begin()
        with pytest.raises(CallFailed, match="cannot destroy running task"):
            await scene.destroy(run, force=False)
        assert scene.jail_lives(run)
        waiting = scene.plugin.driver.WaitTask(pb.WaitTaskRequest(task_id=run.id))
        stats = scene.plugin.driver.TaskStats(pb.TaskStatsRequest(task_id=run.id))
        await scene.destroy(run)
        await scene.destroy(run)
        await scene.agent.destroy_task("nobody/t/01234567", force=True)

        assert (await waiting).result.exit_code == 137
        assert all([sample.HasField("stats") async for sample in stats])
        assert scene.left() == []


async def test_case_34_a_restart_loop_uses_the_same_pipes_and_leaks_nothing(stage: Stage) -> None:
    async with stage() as scene:
        run = scene.place("echo ready; exit 1")
        fds = Path(f"/proc/{scene.plugin.pid}/fd")
        counts = []
        for _ in range(10):
            await scene.start(run)
            assert (await scene.wait(run)).result.exit_code == 1
            await scene.destroy(run)
            await run.silent()
            counts.append(len(list(fds.iterdir())))
            run = scene.place(after=run)

        assert run.begun == 10
        assert counts[-1] <= counts[2]
        assert scene.left() == []


async def test_case_35_another_process_goes_on_with_what_the_handle_says(stage: Stage) -> None:
    async with stage() as scene:
        run = await scene.begin(TRAPS)
        await scene.settled(run)
        await scene.recover(run)  # known: nothing happens
        await scene.crash()
        await scene.launch()
        assert run.handle is not None
        await scene.plugin.driver.RecoverTask(pb.RecoverTaskRequest(handle=stored(run.handle)))
        inside = await scene.agent.exec_task(run.id, ("sh", "-c", "echo $NOMAD_TASK_NAME"), 20)
        sample = await scene.agent.first_stats(run.id)
        await scene.agent.signal_task(run.id, "SIGUSR1")
        ended = await scene.wait(run)

        assert inside.stdout == b"t\n"
        assert sample.HasField("agg_resource_usage")
        assert ended.result.exit_code == 5
        assert run.begun == 1
        await scene.destroy(run)
        assert scene.left() == []


async def test_case_36_the_state_survives_as_opaque_bytes(stage: Stage) -> None:
    async with stage() as scene:
        run = await scene.begin(GATED)
        assert run.handle is not None
        # The agent keeps it in msgpack of its own, where bytes and the old raw strings are one.
        packed = msgpack.packb(run.handle.driver_state, use_bin_type=False)
        back = stored(run.handle)
        back.driver_state = msgpack.unpackb(packed, raw=True)
        await scene.crash()
        await scene.launch()
        await scene.plugin.driver.RecoverTask(pb.RecoverTaskRequest(handle=back))
        await run.tell(8)

        assert (await scene.wait(run)).result.exit_code == 8
        await scene.destroy(run)


@pytest.mark.parametrize("code", [0, 7])
async def test_case_37_an_end_that_nobody_saw_is_told_by_the_next(stage: Stage, code: int) -> None:
    async with stage() as scene:
        run = await scene.begin(GATED)
        await scene.crash()
        await run.tell(code)
        await run.silent()
        await scene.launch()
        await scene.recover(run)

        assert (await scene.wait(run)).result.exit_code == code
        assert run.begun == 1
        await scene.destroy(run)
        assert scene.left() == []


@pytest.mark.parametrize("var_run", ["kept", "wiped"])
async def test_case_38_after_a_reboot_the_task_is_given_up_and_removed(stage: Stage, var_run: str) -> None:
    async with stage() as scene:
        run = await scene.begin()
        await scene.settled(run)
        await scene.crash()
        for pid in (scene.keeper(run), scene.pot_start(run)):  # the simulated reboot ends jails alone
            os.kill(pid, signal.SIGKILL)
        await scene.reboot(var_run=var_run)
        with pytest.raises(CallFailed, match="cannot recover task"):
            await scene.recover(run)
        await scene.destroy(run)

        assert scene.pots() == []
        assert scene.left() == []


@pytest.mark.parametrize("version", [0, 2, 3, 4, 99])
async def test_case_39_a_damaged_handle_is_an_error_and_the_plugin_lives(stage: Stage, version: int) -> None:
    async with stage() as scene:
        run = await scene.begin(GATED)
        assert run.handle is not None
        for data in (b"", b"\xff\x00garbage", run.handle.driver_state[:-3]):
            handle = pb.TaskHandle(version=version, config=pb.TaskConfig(id=f"x/{version}/01234567"), driver_state=data)
            await refusal(scene.plugin.driver.RecoverTask(pb.RecoverTaskRequest(handle=handle)))
        await run.tell(0)

        assert (await scene.wait(run)).result.exit_code == 0
        await scene.destroy(run)


async def test_case_40_many_are_recovered_at_once_and_one_is_recovered_once(stage: Stage) -> None:
    async with stage() as scene:
        runs = [await scene.begin() for _ in range(6)]
        await scene.crash()
        await scene.launch()
        await together(*(scene.recover(run) for run in runs for _ in range(2)))
        states = await together(*(scene.agent.inspect_task(run.id) for run in runs))

        assert {state.task.state for state in states} == {pb.RUNNING}  # type: ignore[attr-defined]
        await together(*(scene.destroy(run) for run in runs))
        assert [run.begun for run in runs] == [1] * 6
        assert scene.left() == []


async def test_case_41_a_plugin_that_only_answers_questions_touches_no_pot(stage: Stage) -> None:
    async with stage() as scene:
        run = await scene.begin(GATED)
        before = scene.pots(), scene.jails()
        async with await Plugin.launch(PLUGIN) as asking:
            await asking.base.PluginInfo(base_pb2.PluginInfoRequest())
            config = msgpack.packb(scene.plugin_config)
            await asking.base.SetConfig(base_pb2.SetConfigRequest(msgpack_config=config))
            ending = await asking.kill()
        assert ending.graceful
        assert (scene.pots(), scene.jails()) == before
        await run.tell(2)

        assert (await scene.wait(run)).result.exit_code == 2
        await scene.destroy(run)
