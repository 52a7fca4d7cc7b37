"""`pot-driver run`: the pot tasks of one job, without Nomad, over the same plugin and the same protocol.

Not here: what the plugin's host does (see `agent`), how things look (see `console`).
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pot_driver import __version__
from pot_driver._proto.plugins.drivers.proto import driver_pb2
from pot_driver.errors import ConfigError, DriverError
from pot_driver.operator import installation, jobfile
from pot_driver.operator.agent import Agent, plugin_argv
from pot_driver.operator.allocation import Allocation
from pot_driver.operator.logpipe import LogPipe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from pot_driver.operator.console import Console
    from pot_driver.operator.hclog import LogLine
    from pot_driver.operator.host import Plugin
    from pot_driver.operator.installation import Installation
    from pot_driver.operator.job import Job, Task

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
        self.agent = Agent(plugin_argv(), pot.plugin_config, group=group, watcher=self)
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
                    answer = await session.agent.fingerprint()
                    step.result = _fingerprint_text(answer)
                    if healthy and answer.health != Health.HEALTHY:
                        raise DriverError(f"the driver is {step.result}")
                yield session
            finally:
                await session.agent.close()

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
        status = await self.session.agent.inspect_task(self.config.id)
        self.pot_name = status.driver.attributes.get("pot", "")
        self.waiting = self.session.group.create_task(self.session.agent.wait_task(self.handle))

    async def stop(self, timeout_s: float | None = None) -> None:
        """End it as the job says: kill_signal, kill_timeout."""
        timeout = self.task.kill_timeout_s if timeout_s is None else timeout_s
        await self.session.agent.stop_task(self.config.id, timeout, self.task.kill_signal)

    async def clean_up(self) -> None:
        """After its end: the last log lines, then DestroyTask."""
        await self._end_logs(LOGS_GRACE_S)
        await self.session.agent.destroy_task(self.config.id)

    def places(self) -> list[str]:
        """Where the task's ports answer."""
        ports = self.config.resources.ports
        return [f"port {port.label}: {port.host_ip}:{port.value}" + (f" → {port.to}" * (port.to > 0)) for port in ports]

    async def _end_logs(self, grace_s: float) -> None:
        for pipe in self._logs:
            await pipe.close(grace_s)
        self.session.console.flush()


async def run(path: Path, variables: Mapping[str, str], console: Console) -> int:
    """Run the job to its end; the status to exit with."""
    job = jobfile.read(path, variables)
    pot = installation.find()
    console.title(f"pot-driver {__version__} runs {job.id} on {pot.label}")
    for left in job.left_to_nomad:
        console.note(f"left to Nomad: {left}")
    with _scratch() as root:
        allocations = _placed(job, root, console)
        async with Session.open(pot, console) as session:
            runs = _runs(session, allocations)
            for allocation in allocations:
                allocation.create()
            try:
                return await _Supervisor(session, runs).run()
            finally:
                for allocation in allocations:
                    allocation.remove()


class _Supervisor:
    """Starts the tasks, listens to Ctrl-C, and sees all of them to their end."""

    def __init__(self, session: Session, runs: list[TaskRun]) -> None:
        self._session = session
        self._runs = runs
        self._started: list[TaskRun] = []
        self._interrupts = 0

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._interrupted)
        try:
            for run in self._runs:
                await self._start(run)
            statuses = [await self._finish(run) for run in list(self._started)]
        except BaseException:
            await self._abandon()
            raise
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
        return next((status for status in statuses if status), 0)

    async def _start(self, run: TaskRun) -> None:
        if self._interrupts:
            return
        with self._session.console.step("start", f"starting task {run.task.name}") as step:
            await run.start()
            step.result = f"task {run.task.name} runs in pot {run.pot_name}"
            step.more = run.places()
        self._started.append(run)
        self._stop_interrupted()
        if run.task.leader:
            run.waiting.add_done_callback(lambda _: self._stop_all(None, but=run))

    async def _finish(self, run: TaskRun) -> int:
        answer = await run.waiting
        await run.clean_up()
        result = answer.result
        status = result.exit_code or (1 if answer.err or result.signal else 0)
        words = [f"task {run.task.name} has ended with exit code {result.exit_code}"]
        words += [f"signal {result.signal}"] if result.signal else []
        words += ["out of memory"] if result.oom_killed else []
        words += [answer.err] if answer.err else []
        self._session.console.title(", ".join(words))
        return status

    def _interrupted(self) -> None:
        """First as the job says, then at once."""
        self._interrupts += 1
        again = self._interrupts > 1
        self._session.console.note("stopping at once" if again else "stopping; Ctrl-C again: at once")
        self._stop_interrupted()

    def _stop_interrupted(self) -> None:
        if self._interrupts:
            self._stop_all(0.0 if self._interrupts > 1 else None)

    def _stop_all(self, timeout_s: float | None, *, but: TaskRun | None = None) -> None:
        for run in self._started:
            if run is not but and not run.waiting.done():
                self._session.group.create_task(self._stop(run, timeout_s))

    async def _stop(self, run: TaskRun, timeout_s: float | None) -> None:
        try:
            await run.stop(timeout_s)
        except DriverError as error:
            self._session.console.problem(f"task {run.task.name}: not stopped: {error}")

    async def _abandon(self) -> None:
        """Something failed: nothing that was started stays."""
        for run in self._started:
            run.waiting.cancel()
            with suppress(DriverError):
                await run.clean_up()


def _placed(job: Job, root: Path, console: Console) -> list[Allocation]:
    allocations = []
    for group in job.groups:
        for task in group.tasks:
            if task.driver != "pot":
                console.note(f'left out: task "{task.name}" has driver "{task.driver}"')
        if any(task.driver == "pot" for task in group.tasks):
            allocations.append(Allocation.place(job, group, root))
    if not allocations:
        raise ConfigError([f'{job.id} has no task with driver = "pot"'])
    return allocations


def _runs(session: Session, allocations: Iterable[Allocation]) -> list[TaskRun]:
    """All tasks, configured: every problem in any of them before anything is started."""
    runs, problems = [], []
    for allocation in allocations:
        for task in allocation.group.tasks:
            if task.driver == "pot":
                try:
                    runs.append(TaskRun(session, allocation, task))
                except ConfigError as error:
                    problems += [f'task "{task.name}": {problem}' for problem in error.problems]
    if problems:
        raise ConfigError(problems)
    return runs


def _fingerprint_text(answer: driver_pb2.FingerprintResponse) -> str:
    health = Health.Name(answer.health).lower()
    if answer.health != Health.HEALTHY:
        return f"{health}: {answer.health_description}"
    version = answer.attributes["driver.pot.pot_version"].string_val
    return f"{health}, pot {version}" if version else health


class _scratch:  # noqa: N801 - used as a function
    """A directory that is gone afterwards, unless something is still mounted in it."""

    def __enter__(self) -> Path:
        self._path = Path(tempfile.mkdtemp(prefix="pot-driver-run."))
        return self._path

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._path.rmdir()
