"""The net below everything else: pots that look like ours and belong to no task.

A pot is removed only if all of this is so:
    its name has our form, and no task of this process has it;
    a path below this client's own allocation directory is in its record or its mounts: another client's never is;
    or it has neither, and the host was booted since it was made;
    it is older than the grace, and so is our time with the agent, which recovers its tasks in that time.

A task of ours is removed if nobody has waited for it all that time and its allocation's directory is gone. That nobody
waits is not enough: an agent waits only after a restored task's hooks are through, which may take for ever.

Not here: how a pot is removed (see `undo`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from pot_driver import files
from pot_driver.clock import Clock
from pot_driver.driver.host import Host
from pot_driver.driver.lives import Lives
from pot_driver.errors import DriverError
from pot_driver.events import Events
from pot_driver.fingerprint import boot_identity
from pot_driver.model import BootId, TaskConfig, TaskRecord
from pot_driver.pot import parse
from pot_driver.tasks import Phase, TaskTable

log = structlog.get_logger()

_OURS = re.compile(r"(?P<task>.+)_(?P<invocation>[0-9a-f]{8})_(?P<alloc>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


class Reconciler:
    """Looks for orphans from time to time, while an agent is attached."""

    def __init__(self, clock: Clock, tasks: TaskTable, events: Events, lives: Lives, host: Callable[[], Host]) -> None:
        self._clock = clock
        self._tasks = tasks
        self._events = events
        self._lives = lives
        self._host = host
        self._alloc_roots: set[Path] = set()
        self._agents = 0
        self._since_s = 0.0  # when the first of them came
        self._lonely: dict[str, float] = {}  # task id → since when nobody waits for it

    @contextmanager
    def attached(self) -> Iterator[None]:
        """An agent is there for as long as this lasts."""
        if not self._agents:
            self._since_s = self._clock.monotonic_s()
            self._lonely.clear()
        self._agents += 1
        try:
            yield
        finally:
            self._agents -= 1

    def learn(self, task: TaskConfig) -> None:
        """Remember where this client's allocations lie."""
        if task.alloc_dir:
            self._alloc_roots.add(Path(task.alloc_dir).parent)

    async def run(self) -> None:
        """Look, period after period, for as long as the plugin serves."""
        while True:
            await asyncio.sleep(self._host().config.reconciler.period_s)
            if self._may_look():
                try:
                    await self.sweep()
                except DriverError as error:
                    log.warning("cannot look for pots without a task", error=str(error))
                except Exception:
                    log.exception("cannot look for pots without a task")

    def _may_look(self) -> bool:
        options = self._host().config.reconciler
        with_agent_s = self._clock.monotonic_s() - self._since_s if self._agents else 0.0
        return options.enabled and with_agent_s > options.creation_grace_s

    async def sweep(self) -> None:
        """Remove what has no owner."""
        host = self._host()
        options = host.config.reconciler
        for record in await self._orphans(host):
            log.warning("pot without a task", pot=record.pot_name, dry_run=options.dry_run)
            if not options.dry_run:
                await self._remove(host, record)
        for task_id in self._abandoned(options.creation_grace_s):
            task = self._tasks.find(task_id)
            log.warning("task without an allocation", task_id=task_id, dry_run=options.dry_run)
            if task is not None and not options.dry_run:
                await self._lives.destroy(host, task, force=True)

    async def _remove(self, host: Host, record: TaskRecord) -> None:
        try:
            await self._lives.remove(host, record)
        except DriverError as error:
            log.warning("cannot remove a pot without a task", pot=record.pot_name, error=str(error))
        else:
            self._events.emit(record, f"Removed pot {record.pot_name}, which belonged to no task")

    async def _orphans(self, host: Host) -> list[TaskRecord]:
        paths = await host.paths()
        grace_s = host.config.reconciler.creation_grace_s
        known = {task.pot_name for task in self._tasks}
        names = {home.path.name for home in host.homes.all()} | _directories(paths.fs_root / "jails")
        found = []
        for name in sorted(names - known):
            match = _OURS.fullmatch(name)
            places = (host.homes.of(name).path, paths.pot(name))
            if match and self._is_old(places, grace_s) and await self._is_ours(host, name):
                found.append(host.record(name) or _from_name(match))
        return found

    async def _is_ours(self, host: Host, pot_name: str) -> bool:
        """Whether this client made it, or nobody can want it any more."""
        record = host.record(pot_name)
        if record is not None:
            return self._is_here(record.secrets_dir) or _allocation_is_gone(record)
        paths = await host.paths()
        if not paths.pot(pot_name).exists():
            return True  # a state directory that was just begun, or emptied when the host came up
        mounts = parse.fscomp(files.text(paths.fscomp(pot_name)))
        if mounts:
            return any(self._is_here(mount.source) for mount in mounts)
        # A pot without mounts is half made. If the host has been booted since, nobody goes on with it.
        boot = await boot_identity(host.processes)
        return paths.pot(pot_name).stat().st_mtime < boot.boottime_s

    def _is_here(self, path: str) -> bool:
        return any(root in Path(path).parents for root in self._alloc_roots)

    def _is_old(self, places: tuple[Path, ...], grace_s: float) -> bool:
        return all(not place.exists() or self._clock.now_s() - place.stat().st_mtime > grace_s for place in places)

    def _abandoned(self, grace_s: float) -> list[str]:
        now_s = self._clock.monotonic_s()
        lonely = [
            task.id
            for task in self._tasks
            if task.phase is not Phase.STARTING and not task.waiters and _allocation_is_gone(task.record)
        ]
        self._lonely = {task_id: self._lonely.get(task_id, now_s) for task_id in lonely}
        return [task_id for task_id, since_s in self._lonely.items() if now_s - since_s > grace_s]


def _allocation_is_gone(record: TaskRecord) -> bool:
    return bool(record.secrets_dir) and not Path(record.secrets_dir).parents[1].exists()


def _from_name(match: re.Match[str]) -> TaskRecord:
    return TaskRecord(
        id="/".join((match["alloc"], match["task"], match["invocation"])),
        name=match["task"],
        alloc_id=match["alloc"],
        pot_name=match[0],
        started_at_s=0.0,
        boot=BootId(),
        limited=True,
    )


def _directories(path: Path) -> set[str]:
    try:
        return {entry.name for entry in path.iterdir() if entry.is_dir()}
    except OSError:
        return set()
