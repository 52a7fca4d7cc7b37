"""A host with pot, looked at only by its own commands: the real pot on FreeBSD, pot-sim's root elsewhere.

Nothing here may know which of the two it is, but `hosts`.

Not here: finding or making the host and its image (see `hosts`).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pot_driver.operator.agent import Agent, Watcher, plugin_argv
from pot_driver.operator.allocation import Allocation
from pot_driver.operator.job import Group, Job, Task
from pot_driver.operator.logpipe import LogPipe
from pot_driver.pot.layout import PotPaths, settings
from pot_driver.spec import pot_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pot_driver._proto.plugins.drivers.proto import driver_pb2 as pb
    from pot_driver.operator.hclog import LogLine
    from pot_driver.operator.host import Plugin

COMMAND_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """Where an image with a /bin/sh is."""

    url: str
    pot: str
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PotHost:
    """`host_path` is where the driver finds pot; `launcher` makes the plugin root where tests are not."""

    host_path: str
    image: Image
    launcher: tuple[str, ...] = ()

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """What an administrator types."""
        return run(self.host_path, *words)

    @property
    def paths(self) -> PotPaths:
        """Where this pot keeps its files."""
        executable = shutil.which("pot", path=self.host_path)
        assert executable
        found = settings(Path(executable))
        tmp, cache = found.get("POT_TMP", "/tmp"), found.get("POT_CACHE", "/var/cache/pot")
        fs_root = self.run("pot", "config", "-q", "-g", "fs_root").stdout.strip()
        return PotPaths(fs_root=Path(fs_root), tmp=Path(tmp), cache=Path(cache))

    def left(self, name: str) -> list[str]:
        """What is still here of the pot of this name."""
        found = []
        if self.paths.pot(name).exists():
            found.append(f"pot {name}")
        if not self.run("jls", "-j", name, "jid").returncode:
            found.append(f"jail {name}")
        for command in (("mount",), ("rctl",)):
            found += [f"{command[0]}: {line}" for line in self.run(*command).stdout.splitlines() if name in line]
        return found + [f"process {pid} {' '.join(words)}" for pid, words in processes() if name in " ".join(words)]


def run(path: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        env={"PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_S,
    )


def processes() -> list[tuple[int, list[str]]]:
    """All of the host, with their words."""
    table = run("/bin:/usr/bin", "ps", "-axww", "-o", "pid=", "-o", "args=").stdout
    return [(int(pid), words) for pid, *words in map(str.split, table.splitlines())]


@dataclass(eq=False)
class Life:
    """One task, from StartTask on."""

    client: Client
    allocation: Allocation
    task: Task
    config: pb.TaskConfig
    handle: pb.TaskHandle | None = None
    output: dict[str, bytearray] = field(default_factory=lambda: {"stdout": bytearray(), "stderr": bytearray()})
    wrote: asyncio.Event = field(default_factory=asyncio.Event)
    logs: list[LogPipe] = field(default_factory=list)

    @property
    def pot(self) -> str:
        return pot_name(self.config.id, self.config.alloc_id, self.config.name)

    async def start(self) -> None:
        for stream in ("stdout", "stderr"):
            self.logs.append(LogPipe(self.allocation.log_path(self.task, stream), partial(self._heard, stream)))
        self.handle = (await self.client.agent.start_task(self.config)).handle

    async def heard(self, words: bytes) -> None:
        """Return when the task has written this to its stdout."""
        while words not in self.output["stdout"]:
            self.wrote.clear()
            await self.wrote.wait()

    async def settled(self) -> None:
        """Return when pot has written down the main process."""
        path = self.client.host.paths.main_pid(self.pot)
        while not path.exists():  # noqa: ASYNC110 - pot tells nobody
            await asyncio.sleep(0.05)

    def open_gate(self) -> None:
        """Have a task end that waits for it."""
        (self.allocation.dir / self.task.name / "local/go").touch()

    async def ended(self) -> pb.WaitTaskResponse:
        """Its end, and all of its output."""
        assert self.handle is not None
        response = await self.client.agent.wait_task(self.handle)
        for log in self.logs:
            await log.ended()
        return response

    async def undo(self) -> list[str]:
        """DestroyTask; what it leaves."""
        await self.client.agent.destroy_task(self.config.id)
        left = await asyncio.to_thread(self.client.host.left, self.pot)
        self.allocation.remove()
        return left + [str(path) for path in self.client.state_dir.glob("*_*")]

    async def kill(self, *last_words: str) -> None:
        """Kill -9 of every process whose command line ends so."""
        victims = [pid for pid, words in processes() if tuple(words[-len(last_words) :]) == last_words]
        assert victims
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def kill_keeper(self) -> None:
        """Kill -9 of the process that waits for `pot start`."""
        script = str(self.client.state_dir / self.pot / "keeper.sh")
        (pid,) = [pid for pid, words in processes() if script in words and "setsid" not in words]
        os.kill(pid, signal.SIGKILL)

    def _heard(self, stream: str, data: bytes) -> None:
        self.output[stream] += data
        self.wrote.set()


class Client(Watcher):
    """A Nomad client and its plugin on that host."""

    def __init__(self, host: PotHost, path: Path, group: asyncio.TaskGroup) -> None:
        self.host = host
        self.path = path
        self.state_dir = path / "state"
        config: dict[str, object] = {"state_dir": str(self.state_dir), "host_path": host.host_path}
        self.agent = Agent((*host.launcher, *plugin_argv()), config, group=group, watcher=self)
        self.log: list[LogLine] = []
        self.events: list[str] = []
        self.plugins: list[Plugin] = []

    def life(self, script: str, **more: object) -> Life:
        """An allocation whose task runs this script, which has no single quotes."""
        image = self.host.image
        config = {
            "image": image.url,
            "pot": image.pot,
            "tag": image.tag,
            "network_mode": "host",
            "command": "/bin/sh",
            "args": ["-c", script],
            "args_mode": "exec",
        }
        task = Task(name="t", config=config, **more)  # type: ignore[arg-type] - fields of Task
        group = Group(name="g", tasks=(task,))
        allocation = Allocation.place(Job(id="host-check", groups=(group,)), group, self.path / "allocs")
        allocation.create()
        return Life(self, allocation, task, allocation.task_config(task, self.agent.task_schema))

    async def begin(self, script: str, **more: object) -> Life:
        """A task that runs and has said so."""
        life = self.life(script, **more)
        await life.start()
        await life.heard(b"ready\n")
        return life

    def plugin_log(self, line: LogLine) -> None:
        self.log.append(line)

    def task_event(self, event: pb.DriverTaskEvent) -> None:
        self.events.append(event.message)

    def plugin_launched(self, plugin: Plugin) -> None:
        self.plugins.append(plugin)

    def plugin_lost(self) -> None:
        """It will be launched again."""

    def task_recovered(self, task_id: str) -> None:
        """As it should be."""


@asynccontextmanager
async def a_client(host: PotHost, path: Path) -> AsyncIterator[Client]:
    """A client whose driver is healthy."""
    try:
        async with asyncio.TaskGroup() as group:
            client = Client(host, path, group)
            await client.agent.launch()
            try:
                await client.agent.configure()
                health = await client.agent.health()
                assert health.health_description == "Healthy"
                yield client
            finally:
                await client.agent.close()
    except BaseExceptionGroup as errors:
        if len(errors.exceptions) == 1:
            raise errors.exceptions[0] from None
        raise
