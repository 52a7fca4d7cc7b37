"""The driver's door: one method per call of Nomad, on domain values.

Not here: how a task is begun, followed and removed (see `lives`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from functools import partial

import structlog

from pot_driver import exec as pot_exec
from pot_driver import plan, signals, spec, task_state
from pot_driver.clock import Clock
from pot_driver.config import decode_plugin
from pot_driver.driver import scripts, stop
from pot_driver.driver.host import Host
from pot_driver.driver.imports import Imports
from pot_driver.driver.lives import Lives
from pot_driver.driver.reconcile import Reconciler
from pot_driver.driver.works import Works
from pot_driver.errors import PotFailed, TaskExists, WrongState
from pot_driver.events import Events
from pot_driver.fingerprint import Fingerprinter, boot_identity
from pot_driver.images import Images
from pot_driver.images.retention import Retention
from pot_driver.model import (
    BootId,
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
from pot_driver.stats import Stats
from pot_driver.tasks import Phase, Task, TaskTable

log = structlog.get_logger()


class PotDriver:
    """One per process. `tasks` owns what runs in the background, for as long as the process serves."""

    def __init__(self, *, clock: Clock, tasks: asyncio.TaskGroup) -> None:
        self._clock = clock
        self._works = Works(tasks)
        self._host = Host(decode_plugin(b""))
        self._compute = HostCompute()
        self._tasks = TaskTable()
        self._events = Events(clock)
        self._images = Images(clock, lambda: self._host, tasks)
        self._stats = Stats(clock)
        self._fingerprinter = Fingerprinter(lambda: self._host)
        self._lives = Lives(clock, self._tasks, self._events, self._images, Imports(), self._works, self._stats.forget)
        self._reconciler = Reconciler(clock, self._tasks, self._events, self._lives, lambda: self._host)
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

    async def fingerprints(self) -> AsyncGenerator[Fingerprint, None]:
        """The first at once, then on change and periodically, until cancelled: for as long the agent is there."""
        if not self._with_agent:
            self._with_agent = True
            self._works.spawn(self._reconciler.run())
            self._works.spawn(self._retention.run())
        with self._reconciler.attached():
            async with aclosing(self._fingerprinter.stream()) as found:
                async for fingerprint in found:
                    yield fingerprint

    async def start_task(self, request: TaskConfig) -> StartedTask:
        """Start it. Asked again after a plugin crash, it goes on with what the crash left."""
        host = self._host
        if not host.config.enabled:
            raise PotFailed("the pot driver is disabled in the agent's plugin block (enabled = false)")
        self._reconciler.learn(request)
        # In a thread: a path that the job names may lie on a file system that does not answer.
        planned = plan.build(await asyncio.to_thread(spec.read, request, host.config))
        task = Task(
            TaskRecord(
                id=request.id,
                name=request.name,
                alloc_id=request.alloc_id,
                pot_name=planned.pot_name,
                started_at_s=self._clock.now_s(),
                boot=await boot_identity(host.processes),
                secrets_dir=request.secrets_dir,
                limited=planned.spec.memory_mb is not None or planned.spec.cpus is not None,
                job=request.job,
                group=request.group,
            )
        )
        begun = self._lives.begin(host, task, planned)
        record = await self._works.whole(request.id, begun, left=partial(self._starter_left, host, task))
        return StartedTask(version=task_state.VERSION, driver_state=task_state.encode(record), network=record.network)

    async def recover_task(self, handle: TaskHandle) -> None:
        """Adopt the task of `handle`, or raise so that Nomad starts it afresh."""
        self._reconciler.learn(handle.config)
        if self._tasks.find(handle.config.id) is None:
            record = task_state.decode(handle.version, handle.driver_state, handle.config, _go_pot_name)
            with suppress(TaskExists):  # somebody else asked for the same at the same time
                await self._works.whole(record.id, self._lives.adopt(self._host, Task(record)))
                return
        known = self._tasks.get(handle.config.id)
        if known.phase is Phase.STARTING:
            async with known.changing:  # it is being recovered just now
                self._tasks.get(handle.config.id)

    async def wait_task(self, task_id: str) -> ExitResult:
        """Wait for the end. Any number of callers; a cancelled one harms no other."""
        return await self._tasks.get(task_id).over()

    async def stop_task(self, task_id: str, timeout_s: float, signal: str) -> None:
        """Return when the jail is gone."""
        entry = self._tasks.get(task_id)
        await self._works.whole(task_id, self._lives.stop(self._host, entry, timeout_s, signal))

    async def destroy_task(self, task_id: str, *, force: bool) -> None:
        """Undo all that the task made. Nomad sends this also after a failed recovery."""
        entry = self._tasks.find(task_id)
        if entry is not None:
            await self._works.whole(task_id, self._lives.destroy(self._host, entry, force=force))
        elif (record := await self._stored(task_id)) is not None:
            await self._works.whole(task_id, self._lives.remove(self._host, record))

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
        name = signals.name(signal)
        if name is None:
            raise WrongState(f"cannot send {signal!r}: FreeBSD knows {' '.join(signals.NAMES.values())}")
        await stop.send_signal(self._host, entry, name)

    async def exec_task(self, task_id: str, words: Sequence[str], timeout_s: float) -> ExecResult:
        """Run a command in the pot, 0 = no time limit."""
        entry = self._running(task_id)
        script = scripts.exec_script(self._host.homes.of(entry.pot_name), entry.record)
        return await pot_exec.run(self._host.pot, entry.pot_name, words, timeout_s, script=script)

    async def exec_task_streaming(
        self, setup: ExecSetup, requests: AsyncIterator[ExecInput]
    ) -> AsyncGenerator[ExecOutput, None]:
        """Run a command in the pot, interactively. Closing the generator ends the command."""
        entry = self._running(setup.task_id)
        script = scripts.exec_script(self._host.homes.of(entry.pot_name), entry.record)
        stream = pot_exec.stream(self._host.pot, entry.pot_name, setup, requests, script=script)
        async with aclosing(stream):
            async for output in stream:
                yield output

    async def _stored(self, task_id: str) -> TaskRecord | None:
        """What a handle could not tell, the state directory or the name of a pot may."""
        for record in self._host.records():
            if record.id == task_id:
                return record
        alloc_id, name, invocation = (*task_id.split("/"), "", "")[:3]
        if not (alloc_id and name and invocation):
            return None
        paths, homes = await self._host.paths(), self._host.homes
        for pot_name in (spec.pot_name(task_id, alloc_id, name), _go_pot_name(task_id)):
            if "/" not in pot_name and (paths.pot(pot_name).is_dir() or homes.of(pot_name).exists):
                return TaskRecord(
                    id=task_id,
                    name=name,
                    alloc_id=alloc_id,
                    pot_name=pot_name,
                    started_at_s=0.0,
                    boot=BootId(),
                    limited=True,
                )
        return None

    def _starter_left(self, host: Host, task: Task) -> None:
        """The agent died while it waited for a start: it will not remember this task."""
        task.abandon()
        if task.alive:
            self._works.spawn(self._lives.destroy(host, task, force=True))

    def _running(self, task_id: str) -> Task:
        entry = self._tasks.get(task_id)
        if not entry.alive:
            raise WrongState(f"task {task_id} is not running")
        return entry


def _go_pot_name(task_id: str) -> str:
    """The name that nomad-pot-driver 0.10.0 gave a task's pot."""
    alloc_id, _, rest = task_id.partition("/")
    name, _, invocation = rest.rpartition("/")
    return f"{name}_{invocation}_{alloc_id}"
