"""A host with pot-sim, a Nomad client and its plugin process, and what can happen to each of them.

Not here: commands that go wrong (see `tripwire`), what must be true afterwards.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pot_driver._proto.plugins.drivers.proto import driver_pb2 as pb
from pot_driver.operator import installation
from pot_driver.operator.agent import Agent, Watcher
from pot_driver.operator.allocation import Allocation
from pot_driver.operator.hclog import LogLine
from pot_driver.operator.host import Plugin
from pot_driver.operator.job import Group, Job, Task
from pot_driver.operator.logpipe import LogPipe
from pot_driver.spec import pot_name
from pot_sim import doctor, registry
from pot_sim.root import Root

from .tripwire import Tripwire

PLUGIN = (str(Path(sys.executable).parent / "nomad-pot-driver"),)
_OF_A_TASK = re.compile(r"_[0-9a-f]{8}_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
QUIET = "trap 'exit 7' TERM; echo ready; while :; do sleep 1 & wait $!; done"  # ends with 7 when it is asked to
GATED = "echo ready; read code </local/gate; exit $code"  # ends with what it is told through its gate


@dataclass(eq=False)
class Run:
    """One StartTask: what Nomad sends, and what it has got back."""

    allocation: Allocation
    task: Task
    config: pb.TaskConfig
    logs: dict[str, LogPipe] = field(default_factory=dict)
    output: dict[str, bytearray] = field(default_factory=lambda: {"stdout": bytearray(), "stderr": bytearray()})
    wrote: asyncio.Event = field(default_factory=asyncio.Event)
    handle: pb.TaskHandle | None = None

    @property
    def id(self) -> str:
        return self.config.id

    @property
    def pot(self) -> str:
        return pot_name(self.config.id, self.config.alloc_id, self.config.name)

    @property
    def gate(self) -> Path:
        return self.allocation.dir / self.task.name / "local/gate"

    @property
    def begun(self) -> int:
        """How often an app of this allocation has said that it is ready."""
        return self.output["stdout"].count(b"ready\n")

    async def heard(self, words: bytes) -> None:
        """Return when the task has written this to its stdout."""
        while words not in self.output["stdout"]:
            self.wrote.clear()
            await self.wrote.wait()

    async def tell(self, code: int) -> None:
        """Have a gated task end."""
        await asyncio.to_thread(self.gate.write_text, f"{code}\n")

    async def silent(self) -> None:
        """Return when nobody can write to the task's logs any more."""
        for log in self.logs.values():
            await log.ended()

    def listen(self) -> None:
        """What logmon does before each start: a reader goes on for as long as there are writers."""
        for stream in ("stdout", "stderr"):
            if stream not in self.logs or self.logs[stream]._ended.is_set():
                self.logs[stream] = LogPipe(self.allocation.log_path(self.task, stream), self._sink(stream))

    def _sink(self, stream: str) -> Any:
        def heard(data: bytes) -> None:
            self.output[stream] += data
            self.wrote.set()

        return heard


class Scene(Watcher):
    """One host below one directory. `launch` brings the plugin up."""

    agent: Agent

    def __init__(self, path: Path, root: Path, group: asyncio.TaskGroup) -> None:
        self.path = path
        self.root = Root(str(root))
        self.wire = Tripwire(path / "wire", root)
        self.state_dir = path / "state"
        self.plugin_config: dict[str, object] = {
            "host_path": f"{path}/wire/bin:{root}/bin:/usr/bin:/bin",
            "state_dir": str(self.state_dir),
        }
        self.events: list[pb.DriverTaskEvent] = []
        self.log: list[LogLine] = []
        self.changed = asyncio.Event()
        self._group = group
        self._plugins: list[Plugin] = []

    # the plugin and the agent

    @property
    def plugin(self) -> Plugin:
        return self.agent.plugin

    async def launch(self, **plugin_config: object) -> None:
        """An agent comes up with a plugin of its own."""
        self.plugin_config |= plugin_config
        self.agent = Agent(PLUGIN, self.plugin_config, group=self._group, watcher=self)
        await self.agent.launch()
        self._plugins.append(self.plugin)
        await self.agent.configure()
        await self.agent.fingerprint()

    async def crash(self) -> None:
        """Kill -9 of the plugin."""
        await self.plugin.crash()

    async def crash_agent(self) -> None:
        """Kill -9 of the agent: its connections break, and so do the pipes of the plugin, which lives on."""
        plugin = self.plugin
        await plugin.disconnect()
        plugin.stop_listening()

    async def reattach(self) -> None:
        """The next agent finds the plugin again."""
        found = await Plugin.reattach(self.plugin.reattach_config)
        self.agent = Agent(PLUGIN, self.plugin_config, group=self._group, watcher=self)
        self.agent.plugin = found
        self._plugins.append(found)
        await self.agent.configure()
        await self.agent.fingerprint()

    async def restart_agent(self) -> None:
        """The agent ends gracefully, and its plugin with it; then both come again."""
        await self.agent.close()
        await self.launch()

    async def reboot(self, *, var_run: str = "kept") -> None:
        """The machine goes down hard and comes up again, then the agent.

        `var_run`: whether /var/run is "kept", "wiped" (a memory disk), or "cleaned" by rc.d/cleanvar.
        """
        await self.crash()
        for pid, words in processes():  # all at once: none sees another one's end
            if any(word in (f"{self.root.bin}/pot", *map(str, self.state_dir.glob("*/keeper.sh"))) for word in words):
                os.kill(pid, signal.SIGKILL)
        cleaned = ["--cleanvar", str(self.state_dir)] if var_run == "cleaned" else []
        installation.pot_sim(Path(self.root.path), "reboot", *cleaned)
        if var_run == "wiped":
            shutil.rmtree(self.state_dir, ignore_errors=True)
        await self.launch()

    # tasks

    def place(self, script: str = QUIET, *, after: Run | None = None, **more: Any) -> Run:
        """An allocation whose task runs this script, or the next run of the task of `after`."""
        if after is not None:
            run = Run(after.allocation, after.task, after.allocation.task_config(after.task, self.agent.task_schema))
            run.output, run.wrote, run.logs = after.output, after.wrote, after.logs
        else:
            quoted = script.replace("'", "'\"'\"'")
            config = {
                "image": f"file://{self.root.path}/images",
                "pot": "shell",
                "tag": "1.0",
                "network_mode": "host",
                "command": "/bin/sh",
                "args": ["-c", f"'{quoted}'"],
                **more.pop("config", {}),
            }
            task = Task(name=more.pop("name", "t"), config=config, **more)
            group = Group(name="g", tasks=(task,))
            allocation = Allocation.place(Job(id="job", groups=(group,)), group, self.path / "allocs")
            allocation.create()
            run = Run(allocation, task, allocation.task_config(task, self.agent.task_schema))
            os.mkfifo(run.gate)
        run.listen()
        return run

    async def start(self, run: Run) -> pb.TaskHandle:
        run.handle = (await self.agent.start_task(run.config)).handle
        return run.handle

    async def begin(self, script: str = QUIET, **more: Any) -> Run:
        """A task that runs and has said so."""
        run = self.place(script, **more)
        await self.start(run)
        await run.heard(b"ready\n")
        return run

    async def settled(self, run: Run) -> None:
        """Return when pot has written down the main process, and calls the pot started."""
        status = Path(self.root.tmp, f"pot_status_{run.pot}")
        while "started" not in status.read_text():  # noqa: ASYNC110 - pot tells nobody
            await asyncio.sleep(0.02)

    async def wait(self, run: Run) -> pb.WaitTaskResponse:
        """One WaitTask of one plugin."""
        return await self.plugin.driver.WaitTask(pb.WaitTaskRequest(task_id=run.id))

    async def stop(self, run: Run, timeout_s: float = 10, signal: str = "") -> None:
        await self.agent.stop_task(run.id, timeout_s, signal)

    async def destroy(self, run: Run, *, force: bool = True) -> None:
        await self.agent.destroy_task(run.id, force=force)

    async def recover(self, run: Run) -> None:
        assert run.handle is not None
        await self.agent.recover_task(run.handle)

    async def run(self, script: str, **more: Any) -> pb.WaitTaskResponse:
        """From start to destroy."""
        run = self.place(script, **more)
        await self.start(run)
        ended = await self.wait(run)
        await run.silent()
        await self.destroy(run)
        return ended

    # the host and its administrator

    async def pot(self, *words: str) -> tuple[int, str]:
        """What an administrator types; status and output."""
        return await self.command("pot", *words)

    async def command(self, name: str, *words: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            f"{self.root.bin}/{name}",
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={"PATH": f"{self.root.bin}:/usr/bin:/bin"},
        )
        output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode()

    async def without_image(self) -> None:
        """As on a host to which no task has brought the image."""
        await self.pot("destroy", "-F", "-p", "shell_1_0")

    def jail_lives(self, run: Run) -> bool:
        return registry.running(self.root.run, run.pot) is not None

    def pots(self) -> list[str]:
        """Every pot of a task."""
        return sorted(path.name for path in Path(self.root.jails).iterdir() if _OF_A_TASK.search(path.name))

    def jails(self) -> list[str]:
        return [name for name in registry.recorded(self.root.run) if registry.running(self.root.run, name)]

    def keeper(self, run: Run) -> int:
        """The keeper's pid."""
        script = str(self.state_dir / run.pot / "keeper.sh")
        (pid,) = [pid for pid, words in processes() if script in words and "setsid" not in words]
        return pid

    def pot_start(self, run: Run) -> int:
        """The pid of this pot's `pot start`."""
        (pid,) = [pid for pid, words in processes() if words[-3:] == ["start", "-p", run.pot]]
        return pid

    def left(self) -> list[str]:
        """What is still here of any task: pots, state, jails, mounts, limits, processes."""
        places = [*Path(self.root.jails).iterdir(), *Path(self.root.tmp).iterdir()]
        if self.state_dir.exists():
            places += self.state_dir.iterdir()
        found = [str(place) for place in places if _OF_A_TASK.search(place.name)]
        found += [f"jail {name}" for name in self.jails()]
        rules = subprocess.run([f"{self.root.bin}/rctl"], capture_output=True, text=True, check=True).stdout
        found += [f"limit {rule}" for rule in rules.splitlines()]
        found += [str(path) for path in (self.path / "allocs").glob("*/*/secrets/.pot")]
        own = [left for left in doctor.leftovers(self.root) if not left.startswith("interface ")]
        return found + own

    # what the plugin says

    def plugin_log(self, line: LogLine) -> None:
        self.log.append(line)
        self.changed.set()

    def task_event(self, event: pb.DriverTaskEvent) -> None:
        self.events.append(event)
        self.changed.set()

    def told(self, run: Run) -> list[str]:
        """The events of a task."""
        return [event.message for event in self.events if event.alloc_id == run.config.alloc_id]

    async def until_told(self, beginning: str) -> None:
        while not any(event.message.startswith(beginning) for event in self.events):
            self.changed.clear()
            await self.changed.wait()

    async def until_logged(self, words: str) -> LogLine:
        while True:
            for line in self.log:
                if words in line.message:
                    return line
            self.changed.clear()
            await self.changed.wait()

    # the end

    async def close(self) -> None:
        """Leave nothing, whatever state it is in."""
        for plugin in self._plugins:
            await plugin.crash()
            await plugin.disconnect()
        self.wire.close()
        while pids := [int(left.split()[1].rstrip(":")) for left in self.left() if left.startswith("process ")]:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.01)
        if self.left() or Path(self.root.path, "etc/boot").exists():
            installation.pot_sim(Path(self.root.path), "reset")
        shutil.rmtree(self.path, ignore_errors=True)


def a_root(path: Path) -> Path:
    """A simulator's root with an image `shell` 1.0."""
    installation.simulated(path)
    installation.pot_sim(path, "image", "create", "shell", "1.0")
    return path


@asynccontextmanager
async def a_scene(path: Path, root: Path, **plugin_config: object) -> AsyncIterator[Scene]:
    """A host whose agent is up; nothing of it outlives the block."""
    try:
        async with asyncio.TaskGroup() as group:
            scene = Scene(path, root, group)
            try:
                await scene.launch(**plugin_config)
                yield scene
            finally:
                await scene.close()
    except BaseExceptionGroup as errors:
        if len(errors.exceptions) == 1:
            raise errors.exceptions[0] from None
        raise


def processes() -> Iterator[tuple[int, list[str]]]:
    """All of this machine, with their words."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                yield int(entry.name), (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
