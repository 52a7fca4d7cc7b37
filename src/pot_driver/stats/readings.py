"""One look at the host for all pots that are measured: a constant number of processes, however many tasks there are.

rctl takes any number of filters; where resource accounting is off, ps lists the processes of all jails.

Not here: what the numbers mean (see `reckoning`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from pot_driver.errors import DriverError, PotFailed
from pot_driver.pot.kernel import sysctl
from pot_driver.stats.reckoning import Reading, ps_readings, rctl_readings

if TYPE_CHECKING:
    from pot_driver.clock import Clock
    from pot_driver.config import PluginConfig
    from pot_driver.process import Completed, Processes

COMMAND_S = 5.0  # more than any of these takes on a host that is not in trouble
AT_ONCE = 500  # names on one command line: at most 60 KiB of the 256 that every release takes


class Measured(Protocol):
    """A host whose pots are measured."""

    @property
    def config(self) -> PluginConfig:
        """For the shortest interval."""
        ...

    @property
    def processes(self) -> Processes:
        """For rctl, ps, jls and sysctl."""
        ...


class Readings:
    """The newest reading of each pot, taken again when somebody asks and it is older than the shortest interval."""

    def __init__(self, clock: Clock) -> None:
        self.clock_mhz = 0.0  # not known on every architecture
        self._clock = clock
        self._accounting: bool | None = None  # does not change before the next boot
        self._wanted: Counter[str] = Counter()
        self._looking = asyncio.Lock()
        self._looked_at_s = float("-inf")
        self._latest: dict[str, Reading | DriverError] = {}

    @contextmanager
    def wanted(self, pot_name: str) -> Iterator[None]:
        """Read this pot at every look, too."""
        self._wanted[pot_name] += 1
        try:
            yield
        finally:
            self._wanted[pot_name] -= 1
            if not self._wanted[pot_name]:
                del self._wanted[pot_name]

    async def of(self, host: Measured, pot_name: str) -> Reading:
        """The pot's reading; the error of the look at it, when that failed."""
        with self.wanted(pot_name):
            async with self._looking:
                await self._look(host, pot_name)
        found = self._latest[pot_name]
        if isinstance(found, DriverError):
            raise found
        return found

    async def _look(self, host: Measured, pot_name: str) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._looked_at_s >= host.config.stats_interval_s:
            self._looked_at_s, self._latest = now_s, {}
        elif pot_name in self._latest:
            return
        names = [name for name in self._wanted if name not in self._latest]
        for start in range(0, len(names), AT_ONCE):
            self._latest |= await self._read(host.processes, names[start : start + AT_ONCE])

    async def _read(self, processes: Processes, names: Sequence[str]) -> dict[str, Reading | DriverError]:
        """A reading or an error for each name."""
        try:
            if await self._accounts(processes):
                return await _by_rctl(processes, names, self._clock.monotonic_s())
            return await _by_ps(processes, names, self._clock.monotonic_s())
        except DriverError as error:
            return dict.fromkeys(names, error)

    async def _accounts(self, processes: Processes) -> bool:
        if self._accounting is None:
            clock_mhz = await sysctl(processes, "hw.clockrate")
            self.clock_mhz = float(clock_mhz) if clock_mhz.isdecimal() else 0.0
            self._accounting = await sysctl(processes, "kern.racct.enable") == "1"
        return self._accounting


async def _by_rctl(processes: Processes, names: Sequence[str], at_s: float) -> dict[str, Reading | DriverError]:
    """Read all by one command; where that does not answer for each, halves of them, to find the one that is amiss."""
    done = await processes.run(("rctl", "-u", *(f"jail:{name}" for name in names)), timeout_s=COMMAND_S)
    found = rctl_readings(done.stdout.decode(errors="replace"), names, at_s) if done.status == 0 else {}
    if len(found) == len(names):
        return dict(found)
    if len(names) == 1 or not done.stdout:
        return dict.fromkeys(names, _without_numbers("rctl", done))
    half = len(names) // 2
    return await _by_rctl(processes, names[:half], at_s) | await _by_rctl(processes, names[half:], at_s)


async def _by_ps(processes: Processes, names: Sequence[str], at_s: float) -> dict[str, Reading | DriverError]:
    jails = await processes.run(("jls", "jid", "name"), timeout_s=COMMAND_S)
    listing = ("ps", "-ax", "-o", "jid=", "-o", "rss=", "-o", "vsz=", "-o", "time=")
    done = await processes.run(listing, timeout_s=COMMAND_S)
    found = ps_readings(done.stdout.decode(errors="replace"), jails.stdout.decode(errors="replace"), names, at_s)
    return {name: found.get(name) or _without_numbers("ps", done) for name in names}


def _without_numbers(command: str, done: Completed) -> PotFailed:
    words = done.stderr.decode(errors="replace").strip()[-200:] or "no reason given"
    return PotFailed(f"{command} ended with {done.status} and without numbers: {words}")


async def read_all(processes: Processes, names: Sequence[str], at_s: float) -> dict[str, Reading | DriverError]:
    """One look at many pots, for who needs no history."""
    accounting = await sysctl(processes, "kern.racct.enable") == "1"
    return await (_by_rctl if accounting else _by_ps)(processes, names, at_s)
