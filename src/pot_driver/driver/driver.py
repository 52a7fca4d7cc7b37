"""The driver's door: one method per call of Nomad, on domain values.

Not here: how a pot comes up (`start`), goes down (`stop`), is removed (`undo`), or its end is learned (`ends`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

import structlog

from pot_driver import exec as pot_exec
from pot_driver import exits, plan, spec, task_state
from pot_driver.clock import Clock
from pot_driver.config import decode_plugin, decode_task
from pot_driver.driver import ends, start, stop
from pot_driver.driver.ends import Fate
from pot_driver.driver.host import Host
from pot_driver.driver.reconcile import Reconciler
from pot_driver.driver.undo import undo
from pot_driver.errors import DriverError, PotFailed, WrongState
from pot_driver.events import Events
from pot_driver.fingerprint import Fingerprinter, boot_identity, same_boot
from pot_driver.images import Images
from pot_driver.images.retention import Retention
from pot_driver.model import (
    ExecInput,
    ExecOutput,
    ExecResult,
    ExecSetup,
    ExitResult,
    Fingerprint,
    HostCompute,
    StartedTask,
    TaskConfig,
    TaskEvent,
    TaskHandle,
    TaskRecord,
    TaskStatus,
    Usage,
)
from pot_driver.pot import command
from pot_driver.pot.layout import PotPaths
from pot_driver.stats import Stats
from pot_driver.tasks import Task, TaskTable

log = structlog.get_logger()

FOLLOW_AGAIN_S = 5.0  # after an error that should not be


class PotDriver:
    """One per process. `tasks` owns what runs in the background, for as long as the process serves."""

    def __init__(self, *, clock: Clock, tasks: asyncio.TaskGroup) -> None:
        self._clock = clock
        self._background = tasks
        self._host = Host(decode_plugin(b""))
        self._compute = HostCompute()
        self._tasks = TaskTable()
        self._events = Events(clock)
        self._images = Images(clock, self._paths, lambda: self._host.config.download)
        self._stats = Stats(clock)
        self._fingerprinter = Fingerprinter(lambda: self._host)
        self._reconciler = Reconciler(clock, self._tasks, self._events, lambda: self._host, self._destroy_abandoned)
        self._retention = Retention(clock, self._images, lambda: self._host)
        self._with_agent = False  # not before the agent asks for fingerprints: two of its three launches never do

    def set_config(self, msgpack_config: bytes, compute: HostCompute) -> None:
        """Take the agent's plugin block (ConfigError names what is wrong in it). No side effects."""
        self._host = Host(decode_plugin(msgpack_config))
        self._compute = compute

    async def init(self) -> None:
        """Nomad ≥ 2.0.4, after SetConfig and again after each reattach: nothing is left to do."""

    async def shutdown(self) -> None:
        """The agent stops gracefully. Tasks go on."""
        log.debug("the agent leaves, tasks go on", tasks=sum(task.alive for task in self._tasks))

    def fingerprints(self) -> AsyncIterator[Fingerprint]:
        """The first at once, then on change and periodically, until cancelled."""
        if not self._with_agent:
            self._with_agent = True
            self._background.create_task(self._reconciler.run())
            self._background.create_task(self._retention.run())
        return self._fingerprinter.stream()

    async def start_task(self, task: TaskConfig) -> StartedTask:
        """Start it. Asked again after a plugin crash, it goes on with what the crash left."""
        host = self._host
        if not host.config.enabled:
            raise PotFailed("the pot driver is disabled in the agent's plugin block (enabled = false)")
        self._reconciler.learn(task)
        planned = plan.build(spec.build(task, decode_task(task.driver_config), host.config))
        boot = await boot_identity(host.processes)
        entry = self._tasks.add(
            TaskRecord(
                id=task.id,
                name=task.name,
                alloc_id=task.alloc_id,
                pot_name=planned.pot_name,
                started_at_s=self._clock.now_s(),
                boot=boot,
                secrets_dir=task.secrets_dir,
                limited=planned.spec.memory_mb is not None or planned.spec.cpus is not None,
            )
        )
        async with entry.changing:
            try:
                record = await start.while_wanted(task, self._up(host, entry, planned))
            except BaseException as error:
                await self._give_up(host, entry, error)
                raise
            entry.started(record)
        self._background.create_task(self._follow(host, entry))
        return StartedTask(version=task_state.VERSION, driver_state=task_state.encode(record), network=record.network)

    async def recover_task(self, handle: TaskHandle) -> None:
        """Adopt the task of `handle`, or raise so that Nomad starts it afresh."""
        self._reconciler.learn(handle.config)
        known = self._tasks.find(handle.config.id)
        if known is not None:
            async with known.changing:  # somebody else may be recovering it just now
                self._tasks.get(handle.config.id)
            return
        host = self._host
        record = task_state.decode(handle.version, handle.driver_state, handle.config, _go_pot_name)
        entry = self._tasks.add(record)
        async with entry.changing:
            try:
                found = await self._find(host, record)
            except BaseException as error:
                await self._give_up(host, entry, error)
                raise
            entry.started(record)
        log.info("task recovered", task_id=record.id, pot=record.pot_name, found=found.value)
        self._background.create_task(self._follow(host, entry))

    async def wait_task(self, task_id: str) -> ExitResult:
        """Wait for the end. Any number of callers; a cancelled one harms no other."""
        return await self._tasks.get(task_id).over()

    async def stop_task(self, task_id: str, timeout_s: float, signal: str) -> None:
        """Return when the jail is gone."""
        entry = self._tasks.get(task_id)
        async with entry.changing:
            if not entry.alive:
                return
            entry.stop_asked()
            name = command.signal_name(signal) if signal else ""
            if name is None:
                self._events.emit(entry, f"Unknown kill_signal {signal}: stopping with SIGTERM")
            self._events.emit(entry, f"Stopping pot with {name or 'SIGTERM'}, {timeout_s:g} s to end")
            await stop.stop(self._host, entry, self._clock, timeout_s=timeout_s, signal=name or "")

    async def destroy_task(self, task_id: str, *, force: bool) -> None:
        """Undo all that the task made."""
        entry = self._tasks.find(task_id)
        if entry is None:
            await self._destroy_unknown(task_id)
            return
        async with entry.changing:
            if entry.alive:
                if not force:
                    raise WrongState(f"cannot destroy running task {task_id}")
                entry.stop_asked()
                await stop.stop(self._host, entry, self._clock, timeout_s=0, signal="")
            if self._tasks.find(task_id) is entry:
                await undo(self._host, entry.record)
                self._forget(entry)

    def inspect_task(self, task_id: str) -> TaskStatus:
        """Where the task stands."""
        entry = self._tasks.get(task_id)
        return TaskStatus(
            id=entry.id,
            name=entry.name,
            state=entry.state,
            started_at_s=entry.record.started_at_s,
            completed_at_s=entry.completed_at_s,
            result=entry.result,
            attributes={"pot": entry.pot_name},
            network=entry.record.network,
        )

    async def task_stats(self, task_id: str, interval_s: float) -> AsyncGenerator[Usage, None]:
        """A sample at once and then each interval, until the task has ended."""
        entry = self._tasks.get(task_id)
        samples = self._stats.stream(self._host, self._compute, entry.pot_name, interval_s, lambda: entry.alive)
        async with aclosing(samples):
            async for usage in samples:
                yield usage

    def task_events(self) -> AsyncIterator[TaskEvent]:
        """All tasks' events, until cancelled."""
        return self._events.subscribe()

    async def signal_task(self, task_id: str, signal: str) -> None:
        """Send a signal to the task's main process."""
        entry = self._running(task_id)
        name = command.signal_name(signal)
        if name is None:
            raise WrongState(f"cannot send {signal!r}: pot knows {' '.join(sorted(command.SIGNALS))}")
        await stop.send_signal(self._host, entry, name)

    async def exec_task(self, task_id: str, words: Sequence[str], timeout_s: float) -> ExecResult:
        """Run a command in the pot, 0 = no time limit."""
        entry = self._running(task_id)
        script = start.has_exec_script(entry.record)
        return await pot_exec.run(self._host.pot, entry.pot_name, words, timeout_s, script=script)

    async def exec_task_streaming(
        self, setup: ExecSetup, requests: AsyncIterator[ExecInput]
    ) -> AsyncGenerator[ExecOutput, None]:
        """Run a command in the pot, interactively. Closing the generator ends the command."""
        entry = self._running(setup.task_id)
        script = start.has_exec_script(entry.record)
        stream = pot_exec.stream(self._host.pot, entry.pot_name, setup, requests, script=script)
        async with aclosing(stream):
            async for output in stream:
                yield output

    async def _up(self, host: Host, entry: Task, planned: plan.Plan) -> TaskRecord:
        """Adopt what an earlier plugin process made for this very task, or start it."""
        home = host.homes.of(entry.pot_name)
        state = home.load()
        if state is not None:
            record = task_state.decode_record(state)
            found = await ends.fate(host, record)
            log.info("this task was begun before", task_id=entry.id, pot=entry.pot_name, found=found.value)
            if found is Fate.KEPT:
                await start.until_running(host, record)
            if found is not Fate.LOST:
                return record
        if home.exists or (await host.paths()).pot(entry.pot_name).exists():
            await undo(host, entry.record)
        for name in planned.spec.dropped_env:
            self._events.emit(entry, f"Environment variable {name!r} is not a shell name and is left out")
        return await start.bring_up(
            host, self._images, entry.record, planned, lambda message: self._events.emit(entry, message)
        )

    async def _follow(self, host: Host, entry: Task) -> None:
        """Wait for the end of a task and publish it. Nothing may end this but the end of the plugin."""
        while entry.result is None:
            try:
                result, at_s = await ends.result(host, entry, self._clock)
            except Exception:
                log.exception("cannot follow a task, will be tried again", task_id=entry.id, pot=entry.pot_name)
                await asyncio.sleep(FOLLOW_AGAIN_S)
                continue
            if entry.alive:  # else the stop published it, after waiting in vain for `pot start`
                entry.ended(result, at_s)
            self._events.emit(entry, exits.describe(entry.result or result))

    async def _give_up(self, host: Host, entry: Task, error: BaseException) -> None:
        """A start or recovery failed: Nomad sends no DestroyTask for a failed start."""
        try:
            await undo(host, entry.record)
        except DriverError as left:
            log.warning("something is left of a failed task", task_id=entry.id, error=str(left), reason=str(error))
        self._forget(entry)

    async def _find(self, host: Host, record: TaskRecord) -> Fate:
        """How a task stands that is to be recovered; PotFailed when it is lost."""
        try:
            found = await ends.fate(host, record)
        except DriverError as error:  # a host in trouble: a task that may live must not be killed for it
            log.warning("cannot tell how a task stands, taken for alive", task_id=record.id, error=str(error))
            return Fate.ORPHANED
        if found is Fate.LOST:
            rebooted = not same_boot(record.boot, await boot_identity(host.processes))
            what = "the host was rebooted" if rebooted else "it does not run, and its exit code is unknown"
            raise PotFailed(f"cannot recover task {record.id} in pot {record.pot_name}: {what}")
        return found

    async def _destroy_unknown(self, task_id: str) -> None:
        """Nomad sends this after a failed recovery; what a handle could not tell, the state directory may."""
        for home in self._host.homes.all():
            state = home.load()
            if state is None:
                continue
            try:
                record = task_state.decode_record(state)
            except PotFailed:
                continue
            if record.id == task_id:
                await undo(self._host, record)

    async def _paths(self) -> PotPaths:
        return await self._host.paths()

    async def _destroy_abandoned(self, task_id: str) -> None:
        await self.destroy_task(task_id, force=True)

    def _running(self, task_id: str) -> Task:
        entry = self._tasks.get(task_id)
        if not entry.alive:
            raise WrongState(f"task {task_id} is not running")
        return entry

    def _forget(self, entry: Task) -> None:
        entry.destroyed()
        self._tasks.remove(entry)
        self._stats.forget(entry.pot_name)


def _go_pot_name(config: TaskConfig) -> str:
    """The name that nomad-pot-driver 0.10.0 gave a task's pot."""
    alloc_id, _, rest = config.id.partition("/")
    name, _, invocation = rest.rpartition("/")
    return f"{name}_{invocation}_{alloc_id}"
