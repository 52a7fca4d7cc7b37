"""A task's whole life on pot-sim, over the real socket."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pot_driver._proto.plugins.drivers.proto import driver_pb2
from pot_driver.operator.agent import CallFailed
from pot_driver.operator.job import Task

if TYPE_CHECKING:
    from pot_driver.operator.installation import Installation

pytestmark = pytest.mark.namespaces

SLEEPER = "trap 'exit 7' TERM; echo ready; while :; do sleep 1 & wait $!; done"


def shell(sim: Installation, script: str, *, name: str = "t", **more: Any) -> Task:
    """A task that runs `script`, which has no single quotes."""
    quoted = script.replace("'", "'\"'\"'")
    return Task(
        name=name,
        config={
            "image": f"file://{root_of(sim)}/images",
            "pot": "shell",
            "tag": "1.0",
            "network_mode": "host",
            "command": "/bin/sh",
            "args": ["-c", f"'{quoted}'"],
        },
        **more,
    )


def root_of(sim: Installation) -> Path:
    assert sim.bin is not None
    return sim.bin.parent


def leftovers(sim: Installation) -> list[str]:
    """Pots of tasks, their jails and their state."""
    root = root_of(sim)
    jails = subprocess.run([root / "bin/jls", "name"], capture_output=True, text=True, check=False).stdout.split()
    pots = [path.name for path in (root / "opt/pot/jails").iterdir()]
    state = [path.name for path in (root / "driver").glob("*")]
    return [name for name in (*jails, *pots, *state) if "_" in name and not name.startswith("shell_1_0")]


@pytest.mark.parametrize(
    ("script", "code", "signal"),
    [
        ("exit 3", 3, 0),
        pytest.param("exit 0", 0, 0, marks=pytest.mark.slow),
        pytest.param("exit 255", 255, 0, marks=pytest.mark.slow),
        pytest.param("kill -KILL $$", 137, 9, marks=pytest.mark.slow),
    ],
)
async def test_the_exit_code_is_the_tasks_own(
    sim: Installation, allocs: Path, a_client: Any, script: str, code: int, signal: int
) -> None:
    async with a_client(allocs, **sim.plugin_config) as client:
        ended = await client.run(shell(sim, script))

    assert (ended.result.exit_code, ended.result.signal, ended.err) == (code, signal, "")
    assert leftovers(sim) == []


@pytest.mark.slow
async def test_stdout_and_stderr_arrive_apart_and_whole(sim: Installation, allocs: Path, a_client: Any) -> None:
    script = 'i=0; while [ $i -lt 20000 ]; do echo "line $i"; i=$((i+1)); done; echo oops >&2'
    async with a_client(allocs, **sim.plugin_config) as client:
        await client.run(shell(sim, script))

    assert client.output["stdout"].decode().splitlines() == [f"line {i}" for i in range(20_000)]
    assert client.output["stderr"] == b"oops\n"


async def test_a_task_is_started_looked_at_stopped_and_undone(sim: Installation, allocs: Path, a_client: Any) -> None:
    task = shell(sim, SLEEPER, env={"GREETING": 'it\'s "$HOME" `x`'}, kill_timeout_s=20.0)
    async with a_client(allocs, **sim.plugin_config) as client:
        agent = client.agent
        allocation = client.allocation(task)
        logs = client.read_logs(allocation, task)
        config = allocation.task_config(task, agent.task_schema)

        started = await agent.start_task(config)
        assert started.handle.version >= 1
        assert started.handle.config == config
        await client.heard(b"ready")

        status = await agent.inspect_task(config.id)
        assert status.task.state == driver_pb2.RUNNING
        assert status.task.started_at.seconds

        done = await agent.exec_task(
            config.id, ["/bin/sh", "-c", 'echo "$GREETING"; echo $NOMAD_TASK_NAME; exit 4'], 30
        )
        assert done.result.exit_code == 4
        assert done.stdout == b'it\'s "$HOME" `x`\nt\n'

        usage = (await agent.first_stats(config.id)).agg_resource_usage
        assert usage.memory.rss > 0

        with pytest.raises(CallFailed, match="cannot destroy running task"):
            await agent.destroy_task(config.id, force=False)

        await agent.stop_task(config.id, 20, "")
        ended = await agent.wait_task(started.handle)
        assert ended.result.exit_code == 7
        for log in logs:
            await log.ended()

        await agent.destroy_task(config.id)
        allocation.remove()
    assert leftovers(sim) == []


@pytest.mark.slow
async def test_a_task_that_will_not_end_is_ended_by_force(sim: Installation, allocs: Path, a_client: Any) -> None:
    task = shell(sim, "trap : TERM INT; echo ready; while :; do sleep 1; done")
    async with a_client(allocs, **sim.plugin_config) as client:
        allocation = client.allocation(task)
        client.read_logs(allocation, task)
        config = allocation.task_config(task, client.agent.task_schema)
        started = await client.agent.start_task(config)
        await client.heard(b"ready")

        await client.agent.stop_task(config.id, 1, "SIGINT")
        ended = await client.agent.wait_task(started.handle)

        assert ended.result.exit_code or ended.result.signal
        await client.agent.destroy_task(config.id)
    assert leftovers(sim) == []


async def test_a_killed_plugin_is_followed_by_another_and_the_task_never_notices(
    sim: Installation, allocs: Path, a_client: Any
) -> None:
    task = shell(sim, "trap 'exit 7' TERM; echo pid $$; while :; do sleep 1 & wait $!; done")
    async with a_client(allocs, **sim.plugin_config) as client:
        agent = client.agent
        allocation = client.allocation(task)
        logs = client.read_logs(allocation, task)
        config = allocation.task_config(task, agent.task_schema)
        started = await agent.start_task(config)
        await client.heard(b"pid ")

        for _ in range(3):
            client.watcher.recovered.clear()
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(agent.wait_task(started.handle))
                await agent.plugin.crash()
                await client.watcher.recovery()
                waiting.cancel()

        done = await agent.exec_task(config.id, ["/bin/sh", "-c", "echo $NOMAD_TASK_NAME"], 30)
        assert done.stdout == b"t\n"
        await agent.stop_task(config.id, 20, "")
        ended = await agent.wait_task(started.handle)
        for log in logs:
            await log.ended()
        assert ended.result.exit_code == 7
        assert client.output["stdout"].count(b"pid ") == 1
        assert client.watcher.lost == 3
        await agent.destroy_task(config.id)
    assert leftovers(sim) == []


@pytest.mark.slow
async def test_an_end_that_no_plugin_saw_is_reported_by_the_next(
    sim: Installation, allocs: Path, a_client: Any
) -> None:
    task = shell(sim, "echo ready; until [ -e /alloc/data/go ]; do sleep 0.1; done; exit 9")
    async with a_client(allocs, **sim.plugin_config) as client:
        allocation = client.allocation(task)
        logs = client.read_logs(allocation, task)
        config = allocation.task_config(task, client.agent.task_schema)
        started = await client.agent.start_task(config)
        await client.heard(b"ready")

        await client.agent.plugin.crash()
        (allocation.dir / "alloc/data/go").touch()
        for log in logs:
            await log.ended()  # the task has ended while there was no plugin

        ended = await client.agent.wait_task(started.handle)
        assert (ended.result.exit_code, ended.err) == (9, "")
        await client.agent.destroy_task(config.id)
    assert leftovers(sim) == []


@pytest.mark.slow
async def test_a_graceful_agent_stop_leaves_the_task_to_the_next_agent(
    sim: Installation, allocs: Path, a_client: Any
) -> None:
    task = shell(sim, SLEEPER)
    async with a_client(allocs, **sim.plugin_config) as client:
        allocation = client.allocation(task)
        logs = client.read_logs(allocation, task)
        config = allocation.task_config(task, client.agent.task_schema)
        started = await client.agent.start_task(config)
        await client.heard(b"ready")

    async with a_client(allocs, **sim.plugin_config) as next_client:
        agent = next_client.agent
        await agent.recover_task(started.handle)
        await agent.recover_task(started.handle)  # a second time is nothing
        await agent.stop_task(config.id, 20, "")
        ended = await agent.wait_task(started.handle)
        for log in logs:
            await log.ended()
        assert ended.result.exit_code == 7
        await agent.destroy_task(config.id)
        await agent.destroy_task(config.id)
    assert leftovers(sim) == []


@pytest.mark.slow
async def test_a_restart_loop_leaks_neither_files_nor_processes(sim: Installation, allocs: Path, a_client: Any) -> None:
    task = shell(sim, 'echo "run in $NOMAD_ALLOC_ID"; exit 1')
    async with a_client(allocs, **sim.plugin_config) as client:
        agent = client.agent
        allocation = client.allocation(task)
        open_files = []
        for _ in range(10):
            logs = client.read_logs(allocation, task)
            config = allocation.task_config(task, agent.task_schema)
            started = await agent.start_task(config)
            ended = await agent.wait_task(started.handle)
            for log in logs:
                await log.ended()
            await agent.destroy_task(config.id)
            assert ended.result.exit_code == 1
            open_files.append(len(list(Path(f"/proc/{agent.plugin.pid}/fd").iterdir())))

    assert client.output["stdout"].count(b"run in ") == 10
    assert open_files[-1] <= open_files[1]
    assert leftovers(sim) == []


@pytest.mark.slow
async def test_an_image_that_is_not_there_fails_the_start_and_leaves_nothing(
    sim: Installation, allocs: Path, a_client: Any
) -> None:
    task = shell(sim, "exit 0")
    task = Task(name="t", config={**task.config, "pot": "nonesuch"})
    async with a_client(allocs, **sim.plugin_config) as client:
        allocation = client.allocation(task)
        with pytest.raises(CallFailed, match="nonesuch"):
            await client.agent.start_task(allocation.task_config(task, client.agent.task_schema))

    assert leftovers(sim) == []
