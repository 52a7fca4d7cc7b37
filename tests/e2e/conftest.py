"""A Nomad client and its plugin, over the real socket; pots are scripted or pot-sim's.

Not here: anything that looks into the plugin.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import pytest

from pot_driver._proto.plugins.drivers.proto import driver_pb2
from pot_driver.operator import installation
from pot_driver.operator.agent import Agent
from pot_driver.operator.allocation import Allocation
from pot_driver.operator.job import Group, Job, PortAsk, Task
from pot_driver.operator.logpipe import LogPipe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pot_driver.operator.hclog import LogLine
    from pot_driver.operator.host import Plugin

PLUGIN = (str(Path(sys.executable).parent / "nomad-pot-driver"),)


@dataclass
class Watcher:
    """Keeps what the agent is told, and lets tests wait for it."""

    log: list[LogLine] = field(default_factory=list)
    events: list[driver_pb2.DriverTaskEvent] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)
    plugins: list[int] = field(default_factory=list)
    lost: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def plugin_log(self, line: LogLine) -> None:
        self.log.append(line)

    def task_event(self, event: driver_pb2.DriverTaskEvent) -> None:
        self.events.append(event)
        self.changed.set()

    def plugin_launched(self, plugin: Plugin) -> None:
        self.plugins.append(plugin.pid)

    def plugin_lost(self) -> None:
        self.lost += 1

    def task_recovered(self, task_id: str) -> None:
        self.recovered.append(task_id)
        self.changed.set()

    async def saw(self, beginning: str) -> None:
        while not any(event.message.startswith(beginning) for event in self.events):
            self.changed.clear()
            await self.changed.wait()

    async def recovery(self) -> None:
        while not self.recovered:
            self.changed.clear()
            await self.changed.wait()


@dataclass
class Client:
    """A Nomad client whose allocations lie in one directory."""

    agent: Agent
    watcher: Watcher
    allocs: Path
    output: dict[str, bytearray] = field(default_factory=lambda: {"stdout": bytearray(), "stderr": bytearray()})
    wrote: asyncio.Event = field(default_factory=asyncio.Event)

    def allocation(self, *tasks: Task, ports: tuple[PortAsk, ...] = ()) -> Allocation:
        """Directories and ports for a group of these tasks."""
        group = Group(name="g", tasks=tasks, ports=ports)
        allocation = Allocation.place(Job(id="job", groups=(group,)), group, self.allocs)
        allocation.create()
        return allocation

    def read_logs(self, allocation: Allocation, task: Task) -> tuple[LogPipe, LogPipe]:
        """What logmon does before each start."""
        out, err = (partial(self._heard, stream) for stream in ("stdout", "stderr"))
        return (
            LogPipe(allocation.log_path(task, "stdout"), out),
            LogPipe(allocation.log_path(task, "stderr"), err),
        )

    async def heard(self, words: bytes) -> None:
        """Return when a task has written this to its stdout."""
        while words not in self.output["stdout"]:
            self.wrote.clear()
            await self.wrote.wait()

    def _heard(self, stream: str, data: bytes) -> None:
        self.output[stream] += data
        self.wrote.set()

    async def run(self, task: Task) -> driver_pb2.WaitTaskResponse:
        """From start to destroy."""
        allocation = self.allocation(task)
        logs = self.read_logs(allocation, task)
        config = allocation.task_config(task, self.agent.task_schema)
        started = await self.agent.start_task(config)
        ended = await self.agent.wait_task(started.handle)
        for log in logs:
            await log.ended()
        await self.agent.destroy_task(config.id)
        allocation.remove()
        return ended


@pytest.fixture
def a_client() -> Callable[..., AbstractAsyncContextManager[Client]]:
    """`async with a_client(allocs, **plugin_config) as client`."""
    return _a_client


@asynccontextmanager
async def _a_client(allocs: Path, *, launcher: tuple[str, ...] = (), **plugin_config: object) -> AsyncIterator[Client]:
    """A client with a plugin that is configured and has answered its first fingerprint."""
    watcher = Watcher()
    try:
        async with asyncio.TaskGroup() as group:
            agent = Agent((*launcher, *PLUGIN), plugin_config, group=group, watcher=watcher)
            await agent.launch()
            try:
                await agent.configure()
                await agent.fingerprint()
                yield Client(agent, watcher, allocs)
            finally:
                await agent.close()
    except BaseExceptionGroup as errors:
        if len(errors.exceptions) == 1:
            raise errors.exceptions[0] from None
        raise


@dataclass(frozen=True)
class ScriptedPot:
    """Stand-ins for the host's commands, which note what they are asked."""

    root: Path

    @property
    def config(self) -> dict[str, object]:
        """The plugin block that leads to them."""
        return {"host_path": f"{self.root}/bin:/usr/bin:/bin", "state_dir": f"{self.root}/state"}

    @property
    def calls(self) -> list[str]:
        """What pot was asked to do."""
        path = self.root / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def script(self, name: str, body: str) -> None:
        """Write one."""
        path = self.root / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def note(self) -> str:
        """The line of a script that notes the call."""
        return f'echo "$*" >>{quote(str(self.root / "calls"))}'


@pytest.fixture
def scripted(tmp_path: Path) -> ScriptedPot:
    """A host whose pot does nothing, and does it well."""
    host = ScriptedPot(tmp_path / "host")
    host.root.mkdir()
    host.script("pot", f'{host.note()}\n[ "$1" = version ] && echo "pot version: 0.16.1"\nexit 0')
    host.script("sysctl", "for name; do case $name in kern.racct.enable) echo 1 ;; *) echo 0 ;; esac; done")
    for name in ("jls", "rctl", "ps"):
        host.script(name, "exit 1")
    return host


@pytest.fixture(scope="session")
def sim(tmp_path_factory: pytest.TempPathFactory) -> installation.Installation:
    """A simulator's installation with an image `shell` 1.0."""
    root = tmp_path_factory.mktemp("sim")
    pot = installation.simulated(root)
    installation.pot_sim(root, "image", "create", "shell", "1.0")
    return pot


@pytest.fixture
def as_root() -> tuple[str, ...]:
    """What makes an ordinary user root in the eyes of a plugin that it launches."""
    return () if os.getuid() == 0 else ("unshare", "--user", "--map-root-user")


@pytest.fixture
def allocs(tmp_path: Path) -> Path:
    """The client's alloc_dir."""
    return tmp_path / "allocs"
