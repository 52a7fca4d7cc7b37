"""A plugin in the hands of a person: one session with it, and one run of one task.

Not here: which tasks, and when (see `run`, `demo`), what the plugin's host does (see `agent`).
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from pot_driver._proto.plugins.drivers.proto import driver_pb2
from pot_driver.errors import DriverError
from pot_driver.fingerprint import HANGING_S, NOT_YET
from pot_driver.operator.agent import Agent, plugin_argv
from pot_driver.operator.logpipe import LogPipe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pot_driver.operator.allocation import Allocation
    from pot_driver.operator.console import Console
    from pot_driver.operator.hclog import LogLine
    from pot_driver.operator.host import Plugin
    from pot_driver.operator.installation import Installation
    from pot_driver.operator.job import Task

LOGS_GRACE_S = 2.0  # what Nomad's logmon waits for the last writer
Health = driver_pb2.FingerprintResponse.HealthState


class Session:
    """A plugin, configured for one pot installation, and a console that tells of it."""

    def __init__(
        self,
        pot: Installation,
        console: Console,
        group: asyncio.TaskGroup,
        on_launch: Callable[[Plugin], None],
    ) -> None:
        self.pot = pot
        self.console = console
        self.group = group
        self.agent = Agent((*pot.launcher, *plugin_argv()), pot.plugin_config, group=group, watcher=self)
        self.events: list[driver_pb2.DriverTaskEvent] = []
        self.changed = asyncio.Condition()
        self.recovered = asyncio.Event()
        self.plugin_launched = on_launch

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        pot: Installation,
        console: Console,
        *,
        healthy: bool = True,
        on_launch: Callable[[Plugin], None] = lambda _: None,
    ) -> AsyncIterator[Session]:
        """Launch the plugin and see that the driver is healthy, or at least answers."""
        async with asyncio.TaskGroup() as group:
            session = cls(pot, console, group, on_launch)
            with console.step("handshake", "launching nomad-pot-driver") as step:
                info = await session.agent.launch()
                step.result = f"{info.name} {info.plugin_version}, pid {session.agent.plugin.pid}"
            try:
                with console.step("fingerprint", "asking the driver for its health") as step:
                    await session.agent.configure()
                    answer = await session.health()
                    step.result = _fingerprint_text(answer)
                    if healthy and answer.health != Health.HEALTHY:
                        raise DriverError(f"the driver is {step.result}")
                yield session
            finally:
                await session.agent.close()

    async def health(self) -> driver_pb2.FingerprintResponse:
        """What the driver finds on this host; a slow pot is waited for, and the wait is told."""
        if (await self.agent.fingerprint()).health_description == NOT_YET:
            self.console.note(f"waiting for pot: it has {HANGING_S:.0f} s for each command that the driver asks it")
        return await self.agent.health()

    def plugin_log(self, line: LogLine) -> None:
        """Warnings and errors are for people, too."""
        if line.level in {"warn", "error"}:
            shown = {key: value for key, value in line.fields.items() if key != "exception"}
            fields = " ".join(f"{key}={value}" for key, value in shown.items())
            tell = self.console.problem if line.level == "error" else self.console.note
            tell(f"plugin {line.level}: {line.message} {fields}".rstrip())
            if trace := line.fields.get("exception"):
                tell(str(trace))  # a bug: there is no other log to look into

    def task_event(self, event: driver_pb2.DriverTaskEvent) -> None:
        """Show it, keep it, wake who waits for it."""
        self.events.append(event)
        self.console.event(event.task_name, event.message)
        self.group.create_task(self._wake())

    def plugin_lost(self) -> None:
        """Tell."""
        self.console.note("the plugin has died: launching a new one")

    def task_recovered(self, task_id: str) -> None:
        """Tell."""
        self.console.note(f"a new plugin, pid {self.agent.plugin.pid}, has taken over {task_id}")
        self.recovered.set()

    async def saw(self, *beginnings: str) -> None:
        """Return when an event with one of these beginnings has come."""
        async with self.changed:
            await self.changed.wait_for(lambda: any(event.message.startswith(beginnings) for event in self.events))

    async def _wake(self) -> None:
        async with self.changed:
            self.changed.notify_all()


class TaskRun:
    """One run of one task."""

    handle: driver_pb2.TaskHandle
    pot_name: str
    waiting: asyncio.Task[driver_pb2.WaitTaskResponse]

    def __init__(
        self,
        session: Session,
        allocation: Allocation,
        task: Task,
        *,
        output: Callable[[str, str, bytes], None] | None = None,
    ) -> None:
        self._output = output or session.console.output
        self.session = session
        self.allocation = allocation
        self.task = task
        self.config = allocation.task_config(task, session.agent.task_schema)
        self._logs: list[LogPipe] = []

    async def start(self) -> None:
        """Read the logs, as logmon does; StartTask; WaitTask from now on."""
        self._logs = [
            LogPipe(
                self.allocation.log_path(self.task, stream),
                partial(self._output, self.task.name, stream),
            )
            for stream in ("stdout", "stderr")
        ]
        try:
            response = await self.session.agent.start_task(self.config)
        except BaseException:
            await self._end_logs(0)
            raise
        self.handle = response.handle
        self._port_map = dict(response.network_override.port_map)
        status = await self.session.agent.inspect_task(self.config.id)
        self.pot_name = status.driver.attributes.get("pot", "")
        self.waiting = self.session.group.create_task(self.session.agent.wait_task(self.handle))

    async def stop(self) -> None:
        """End it as the job says: kill_signal, kill_timeout."""
        await self.session.agent.stop_task(self.config.id, self.task.kill_timeout_s, self.task.kill_signal)

    async def kill(self) -> None:
        """SIGKILL to its main process, also while a stop is waiting for it."""
        await self.session.agent.signal_task(self.config.id, "SIGKILL")

    async def clean_up(self) -> None:
        """After its end: the last log lines, then DestroyTask."""
        await self._end_logs(LOGS_GRACE_S)
        await self.session.agent.destroy_task(self.config.id)

    def places(self) -> list[str]:
        """Where the task's ports answer, as the driver has forwarded them: a port_map goes before the job's `to`."""
        return [
            f"port {port.label}: {port.host_ip}:{port.value}" + (f" → {inside}" if inside else "")
            for port in self.config.resources.ports
            for inside in [self._port_map.get(port.label, max(0, port.to))]
        ]

    async def _end_logs(self, grace_s: float) -> None:
        for pipe in self._logs:
            await pipe.close(grace_s)
        self.session.console.flush()


def _fingerprint_text(answer: driver_pb2.FingerprintResponse) -> str:
    health = Health.Name(answer.health).lower()
    if answer.health != Health.HEALTHY:
        return f"{health}: {answer.health_description}"
    version = answer.attributes["driver.pot.pot_version"].string_val
    return f"{health}, pot {version}" if version else health
