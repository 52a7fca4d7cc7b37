"""Tasks' lives: begun, adopted, followed, stopped and removed; each change of a task is made by one at a time.

A task that is to be removed is in the table until it is gone, known before or not: who asks for it meanwhile waits.

Not here: who asks (see `driver`), how a pot comes up and goes down (see `start`, `stop`, `undo`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from pot_driver import exits, plan, signals
from pot_driver.clock import Clock
from pot_driver.driver import composing, ends, start, stop
from pot_driver.driver.ends import Fate
from pot_driver.driver.host import Host
from pot_driver.driver.imports import Imports
from pot_driver.driver.undo import undo
from pot_driver.driver.works import Works
from pot_driver.errors import DriverError, PotFailed, TaskExists, TimedOut, TryAgain, WrongState
from pot_driver.events import Events
from pot_driver.fingerprint import boot_identity, same_boot
from pot_driver.images import Images
from pot_driver.model import BootId, TaskRecord
from pot_driver.tasks import Phase, Task, TaskTable

log = structlog.get_logger()

FOLLOW_AGAIN_S = 5.0  # after an error that should not be


class Lives:
    """Of all tasks in the table. `forgotten` is told the pot of each that has gone."""

    def __init__(
        self,
        clock: Clock,
        tasks: TaskTable,
        events: Events,
        images: Images,
        imports: Imports,
        works: Works,
        forgotten: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._tasks = tasks
        self._events = events
        self._images = images
        self._imports = imports
        self._works = works
        self._forgotten = forgotten

    async def begin(self, host: Host, task: Task, planned: plan.Plan) -> TaskRecord:
        """Bring it up, or go on with what an earlier plugin process made for this very task."""
        self._tasks.add(task)
        async with task.changing:
            try:
                await self._end_earlier_runs(host, task)
                alloc_dir = planned.spec.task.alloc_dir
                record = await start.while_wanted(task, alloc_dir, self._up(host, task, planned))
            except BaseException as error:
                await self._give_up(host, task, error)
                if isinstance(error, (TimedOut, OSError)):  # pot's lock, a hung command, a full disk: it may pass
                    raise TryAgain(f"cannot start task {task.id}: {error}") from error
                raise
            task.started(record)
        self._works.spawn(self._follow(host, task))
        return record

    async def adopt(self, host: Host, task: Task) -> None:
        """Take over what another plugin process began, or PotFailed, and nothing is left of it."""
        self._tasks.add(task)
        async with task.changing:
            found = await self._found(host, task.record)
            if found is Fate.LOST:
                why = await _why_lost(host, task.record)
                self._events.emit(task, f"The task is lost: {why}")
                error = PotFailed(f"cannot recover task {task.id} in pot {task.pot_name}: {why}")
                await self._give_up(host, task, error)
                raise error
            task.started(task.record)
        log.info("task recovered", task_id=task.id, pot=task.pot_name, found=found.value)
        if found is Fate.ORPHANED and not task.record.secrets_dir:
            self._works.spawn(_keep_prune_away(host, task))
        self._works.spawn(self._follow(host, task))

    async def stop(self, host: Host, task: Task, timeout_s: float, signal: str) -> None:
        """Return when its jail is gone."""
        task.abandon()
        async with task.changing:
            if not task.alive:
                return
            _want_stop(host, task)
            name = signals.name(signal) if signal else ""
            if name is None:
                self._events.emit(task, f"Unknown kill_signal {signal}: stopping with SIGTERM")
            self._events.emit(task, f"Stopping pot with {name or 'SIGTERM'}, {timeout_s:g} s to end")
            await stop.stop(host, task, self._clock, timeout_s=timeout_s, kill_signal=name or "")

    async def destroy(self, host: Host, task: Task, *, force: bool) -> None:
        """Leave nothing of it. What cannot be removed now belongs to no task: the reconciler goes on with it."""
        if force:
            task.abandon()
        async with task.changing:
            if task.alive:
                if not force:
                    raise WrongState(f"cannot destroy running task {task.id}")
                _want_stop(host, task)
                await stop.stop(host, task, self._clock, timeout_s=0, kill_signal="")
            if self._tasks.find(task.id) is task:
                try:
                    await undo(host, task.record)
                finally:
                    self._forget(task)

    async def remove(self, host: Host, record: TaskRecord) -> None:
        """Leave nothing of a task that is not in the table."""
        task = Task(record)
        try:
            self._tasks.add(task)
        except TaskExists:
            return  # it has got an owner
        async with task.changing:
            try:
                await undo(host, record)
            finally:
                self._forget(task)

    async def _end_earlier_runs(self, host: Host, task: Task) -> None:
        """Nomad runs a task of an allocation once at a time: what is left of an earlier run has lost its owner.

        An agent that dies between a start and writing it down forgets the run, and starts another one.
        """
        for record in self._earlier_runs(host, task):
            log.warning("an earlier run of this task is still here, and is removed", task_id=record.id, now=task.id)
            known = self._tasks.find(record.id)
            try:
                await (self.destroy(host, known, force=True) if known else self.remove(host, record))
            except DriverError as error:
                if await host.jails.exists(record.pot_name):
                    raise TryAgain(f"cannot start task {task.id}: its earlier run cannot be ended: {error}") from error

    def _earlier_runs(self, host: Host, task: Task) -> list[TaskRecord]:
        earlier = []
        for other in self._tasks:
            if other is task:
                break  # those after it may wait for this one
            lonely = not other.waiters and (other.phase is not Phase.STARTING or other.unwanted)
            if lonely and _same_task(other.record, task.record):
                earlier.append(other.record)
        known = {other.pot_name for other in self._tasks}
        stored = (record for record in host.records() if record.pot_name not in known)
        return earlier + [record for record in stored if _same_task(record, task.record)]

    async def _up(self, host: Host, task: Task, planned: plan.Plan) -> TaskRecord:
        """Go on with what an earlier plugin process made for this very task, or make it."""
        record = host.record(task.pot_name)
        if record is not None:
            found = await ends.fate(host, record)
            log.info("this task was begun before", task_id=task.id, pot=task.pot_name, found=found.value)
            if found is Fate.KEPT:
                await start.until_running(host, record)
            if found is not Fate.LOST and (
                found is not Fate.ENDED or await start.has_begun(host.homes.of(task.pot_name))
            ):
                return record
        if host.homes.of(task.pot_name).exists or (await host.paths()).pot(task.pot_name).exists():
            await undo(host, task.record)
        for name in planned.spec.dropped_env:
            self._events.emit(task, f"Environment variable {name!r} is not a shell name and is left out")
        return await start.bring_up(
            host, self._images, self._imports, task.record, planned, lambda message: self._events.emit(task, message)
        )

    async def _found(self, host: Host, record: TaskRecord) -> Fate:
        """How a task stands that is to be recovered. A task that may live must not be killed for a host in trouble."""
        try:
            return await ends.fate(host, record)
        except DriverError as error:
            log.warning("cannot tell how a task stands, taken for alive", task_id=record.id, error=str(error))
        except Exception:
            log.exception("cannot tell how a task stands, taken for alive", task_id=record.id)
        return Fate.ORPHANED

    async def _follow(self, host: Host, task: Task) -> None:
        """Wait for the end of a task and publish it. Nothing may end this but the end of the plugin."""
        while task.result is None:
            try:
                result, at_s = await ends.result(host, task, self._clock)
            except Exception:
                log.exception("cannot follow a task, will be tried again", task_id=task.id, pot=task.pot_name)
                await asyncio.sleep(FOLLOW_AGAIN_S)
                continue
            if task.alive:  # else the stop published it, after waiting in vain for `pot start`
                task.ended(result, at_s)
            self._events.emit(task, exits.describe(task.result or result))

    async def _give_up(self, host: Host, task: Task, error: BaseException) -> None:
        """A start or recovery failed: Nomad sends no DestroyTask for a failed start."""
        try:
            await undo(host, task.record)
        except Exception as left:  # noqa: BLE001 - the first error is the one to tell; the reconciler goes on with the rest
            log.warning("something is left of a failed task", task_id=task.id, left=str(left), reason=str(error))
        finally:
            self._forget(task)

    def _forget(self, task: Task) -> None:
        task.destroyed()
        self._tasks.remove(task)
        self._forgotten(task.pot_name)


def _want_stop(host: Host, task: Task) -> None:
    task.stop_asked()
    host.homes.of(task.pot_name).want_stop()


def _same_task(one: TaskRecord, other: TaskRecord) -> bool:
    return (one.alloc_id, one.name) == (other.alloc_id, other.name) and one.id != other.id


async def _why_lost(host: Host, record: TaskRecord) -> str:
    boot = await boot_identity(host.processes)
    # The Go driver did not write down the boot, only when it started the task.
    earlier = record.boot == BootId() and 0 < record.started_at_s < boot.boottime_s
    if earlier or not same_boot(record.boot, boot):
        return "the host was restarted"
    return "it does not run, and its exit code is unknown"


async def _keep_prune_away(host: Host, task: Task) -> None:
    """The Go driver's pots can be pruned before anybody has read how they ended.

    Only a few at a time, and not while another command may write the same pot.conf: pot would lose a line of it.
    """
    async with host.starts, task.changing:
        if task.alive:
            paths = await host.paths()
            await asyncio.to_thread(composing.set_attribute, paths, task.pot_name, "prunable", "NO")
