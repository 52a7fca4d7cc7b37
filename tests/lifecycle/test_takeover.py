"""A pot that nomad-pot-driver 0.10.0 started is adopted by its handle while it runs, and treated as one of ours."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgpack
import pytest

from pot_driver._proto.plugins.drivers.proto import driver_pb2 as pb
from pot_driver.operator.agent import CallFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.lifecycle.conftest import Stage
    from tests.lifecycle.scene import Scene

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]

LOOP = "while :; do sleep 1 & wait $!; done"
STARTED_AT = b"\x01\x00\x00\x00\x0e\xd9\x1d\x00\xff\x00\x00\x00\x00\xff\xff"  # 2021-11-09 23:53:35 UTC


@dataclass
class GoTask:
    """A task as the Go driver left it: a pot, its `pot start`, and a handle."""

    handle: pb.TaskHandle
    pot: str
    pot_start: asyncio.subprocess.Process

    @property
    def id(self) -> str:
        return self.handle.config.id


@asynccontextmanager
async def go_task(scene: Scene, script: str) -> AsyncIterator[GoTask]:
    """Prepared and started with the Go driver's commands, its plugin gone since."""
    alloc, invocation = str(uuid.uuid4()), uuid.uuid4().hex[:8]
    pot = f"t_{invocation}_{alloc}"
    images = f"file://{scene.root.path}/images"
    words = ["-U", images, "-p", "shell", "-t", "1.0", "-n", "t", "-a", f"{invocation}_{alloc}", "-N", "host"]
    assert (await scene.pot("prepare", *words, "-c", f"/bin/sh -c '{script}'"))[0] == 0
    assert (await scene.pot("set-rss", "-p", pot, "-M", "300M"))[0] == 0
    start = await asyncio.create_subprocess_exec(
        f"{scene.root.bin}/pot",
        "start",
        pot,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PATH": f"{scene.root.bin}:/usr/bin:/bin"},
    )
    status = Path(scene.root.tmp, f"pot_status_{pot}")
    while not status.exists() or "started" not in status.read_text():  # noqa: ASYNC110 - pot tells nobody
        await asyncio.sleep(0.02)
    state = {
        "ReattachConfig": None,
        "TaskConfig": {"ID": f"{alloc}/t/{invocation}", "Name": "t", "AllocID": alloc},
        "StartedAt": STARTED_AT,
        "ContainerName": images,
        "PID": start.pid,
    }
    handle = pb.TaskHandle(
        version=2,
        config=pb.TaskConfig(
            id=f"{alloc}/t/{invocation}", name="t", alloc_id=alloc, alloc_dir=str(scene.path / "allocs" / alloc)
        ),
        state=pb.RUNNING,
        driver_state=msgpack.packb(state, use_bin_type=False),
    )
    yield GoTask(handle, pot, start)
    await start.wait()


async def wait(scene: Scene, task: GoTask) -> pb.ExitResult:
    return (await scene.plugin.driver.WaitTask(pb.WaitTaskRequest(task_id=task.id))).result


async def test_it_is_looked_at_signalled_stopped_and_destroyed(stage: Stage) -> None:
    async with stage() as scene, go_task(scene, f'trap "exit 7" TERM; trap : HUP; {LOOP}') as task:
        agent = scene.agent
        await agent.recover_task(task.handle)

        looked = await agent.inspect_task(task.id)
        assert (looked.task.state, looked.task.started_at.seconds) == (pb.RUNNING, 1636502015)
        done = await agent.exec_task(task.id, ["/bin/sh", "-c", "echo inside; exit 3"], 30)
        assert (done.result.exit_code, done.stdout) == (3, b"inside\n")
        assert (await agent.first_stats(task.id)).agg_resource_usage.memory.rss > 0
        await scene.plugin.driver.SignalTask(pb.SignalTaskRequest(task_id=task.id, signal="SIGHUP"))
        assert scene.jails() == [task.pot]

        await agent.stop_task(task.id, 20, "")
        assert (await wait(scene, task)).exit_code == 7
        await task.pot_start.wait()
        await agent.destroy_task(task.id)
        assert scene.left() == []


async def test_its_own_exit_code_is_told_also_after_a_prune_by_cron(stage: Stage) -> None:
    async with stage() as scene, go_task(scene, "sleep 4; exit 5") as task:
        await scene.agent.recover_task(task.handle)
        assert (await wait(scene, task)).exit_code == 5

        await task.pot_start.wait()
        assert (await scene.pot("prune"))[0] == 0
        assert scene.pots() == [task.pot]
        await scene.agent.destroy_task(task.id)
        assert scene.left() == []


async def test_an_end_before_the_takeover_is_told(stage: Stage) -> None:
    async with stage() as scene, go_task(scene, "sleep 1; exit 9") as task:
        await task.pot_start.wait()
        await scene.agent.recover_task(task.handle)

        assert (await wait(scene, task)).exit_code == 9
        await scene.agent.destroy_task(task.id)
        assert scene.left() == []


async def test_one_that_a_reboot_ended_is_lost_and_removed(stage: Stage) -> None:
    async with stage() as scene:
        async with go_task(scene, LOOP) as task:
            await scene.reboot()
        with pytest.raises(CallFailed, match=r"cannot recover task .*: the host was restarted"):
            await scene.agent.recover_task(task.handle)
        await scene.agent.destroy_task(task.id)

        assert scene.left() == []


async def test_a_damaged_handle_is_an_error_and_its_pot_is_destroyed_by_its_name(stage: Stage) -> None:
    async with stage() as scene:
        async with go_task(scene, LOOP) as task:
            task.handle.driver_state = task.handle.driver_state[:20]
            with pytest.raises(CallFailed, match="cannot read the task's handle"):
                await scene.agent.recover_task(task.handle)
            await scene.agent.destroy_task(task.id)
        assert scene.left() == []
