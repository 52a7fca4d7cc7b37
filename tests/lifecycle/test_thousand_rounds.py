"""A thousand tasks come and go, and the plugin is as it was at the start: files, threads, memory, processes.

pot is a script here, which does at once what the driver looks at afterwards, and starts nothing.
"""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import pytest

from pot_driver.operator.agent import Agent, Watcher
from pot_driver.operator.allocation import Allocation
from pot_driver.operator.job import Group, Job, Task
from tests.lifecycle.scene import PLUGIN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROUNDS, WARM, AT_A_TIME = 1000, 200, 4
MEMORY_KIB = 8 * 1024  # what an allocator may keep; a leak of a task's objects would be far more

POT = """\
#!/bin/sh
fs={fs}
verb=$1
shift
case $verb in
version) echo 0.16.0 && exit ;;
config) echo "$fs" && exit ;;
esac
name= suffix= mount= source= attribute= value= memory= ro=
while getopts p:t:U:P:N:d:F option; do
    case $option in
    p) name=$OPTARG ;;
    t) tag=_$(echo "$OPTARG" | tr . _) ;;
    esac
done
pot=$fs/jails/$name$tag conf=$fs/jails/$name$tag/conf
case $verb in
import | clone)
    mkdir -p "$conf" "$pot/m/bin"
    printf '#!/bin/sh\\n' >"$pot/m/bin/sh"
    chmod +x "$pot/m/bin/sh"
    printf '%s\\n' network_type=inherit pot.stack=ipv4 pot.dns=off >"$conf/pot.conf"
    ;;
start)
    echo >&5
    echo '{{ "ExitCode": 3 }}' >"$conf/.last_run_stats"
    exit 125
    ;;
destroy) rm -r "$pot" ;;
esac
"""
OTHERS = {
    "jls": 'echo "jls: jail \\"$2\\" not found" >&2; exit 1',
    "rctl": "exit 0",
    "sysctl": "echo 1",
}


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    fs, tools = tmp_path / "pot", tmp_path / "bin"
    (fs / "jails/shell_1_0/conf").mkdir(parents=True)
    (fs / "jails/shell_1_0/conf/pot.conf").write_text("pot.cmd=/bin/true\n")
    (fs / "jails/shell_1_0/m/bin").mkdir(parents=True)
    tools.mkdir()
    scripts = {"pot": POT.format(fs=quote(str(fs))), **{name: f"#!/bin/sh\n{body}\n" for name, body in OTHERS.items()}}
    for name, text in scripts.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    config = {"host_path": f"{tools}:/usr/bin:/bin", "state_dir": str(tmp_path / "state")}
    async with asyncio.TaskGroup() as group:
        agent = Agent(PLUGIN, config, group=group, watcher=_Deaf())
        await agent.launch()
        try:
            await agent.configure()
            await agent.fingerprint()
            yield agent
        finally:
            await agent.close()


class _Deaf(Watcher):
    """Nobody listens."""


async def rounds(agent: Agent, allocs: Path, number: int) -> None:
    task = Task(
        name="t",
        config={"image": "file:///nowhere", "pot": "shell", "tag": "1.0", "command": "x", "network_mode": "host"},
        logs_disabled=True,
    )
    group = Group(name="g", tasks=(task,))
    allocation = Allocation.place(Job(id="job", groups=(group,)), group, allocs)
    allocation.create()
    for _ in range(number):
        config = allocation.task_config(task, agent.task_schema)
        started = await agent.start_task(config)
        assert (await agent.wait_task(started.handle)).result.exit_code == 3
        await agent.destroy_task(config.id)


def size(pid: int) -> tuple[int, int, int, int]:
    """Open files, threads, resident KiB, children."""
    status = Path(f"/proc/{pid}/status").read_text()
    threads, memory = (int(re.search(rf"{key}:\s+(\d+)", status)[1]) for key in ("Threads", "VmRSS"))  # type: ignore[index]
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return len(os.listdir(f"/proc/{pid}/fd")), threads, memory, len(children)  # noqa: PTH208


async def test_a_thousand_rounds_leave_the_plugin_as_it_was(agent: Agent, tmp_path: Path) -> None:
    async def all_at_once(number: int) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_A_TIME):
                group.create_task(rounds(agent, tmp_path / "allocs", number // AT_A_TIME))

    await all_at_once(WARM)
    files, threads, memory, _ = size(agent.plugin.pid)
    await all_at_once(ROUNDS - WARM)
    files_after, threads_after, memory_after, children = size(agent.plugin.pid)

    assert files_after <= files + 2
    assert threads_after <= threads + 2
    assert memory_after <= memory + MEMORY_KIB
    assert children == 0
    assert list((tmp_path / "state").iterdir()) == []
    assert [path.name for path in (tmp_path / "pot/jails").iterdir()] == ["shell_1_0"]
