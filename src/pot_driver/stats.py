"""What a pot uses, from the kernel's accounting by `rctl`, or summed over its processes by `ps` where that is off.

One measurement serves all who ask within the shortest interval. A failed one is left out: the next may succeed,
and a stream that ends or fails only makes Nomad complain and ask again.

Not here: which tasks are asked for, limits.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import structlog

from pot_driver.errors import DriverError, PotFailed
from pot_driver.model import HostCompute, Usage
from pot_driver.pot.kernel import sysctl
from pot_driver.pot.parse import rctl_usage

if TYPE_CHECKING:
    from pot_driver.clock import Clock
    from pot_driver.config import PluginConfig
    from pot_driver.process import Completed, Processes

COMMAND_S = 5.0  # more than any of these takes on a host that is not in trouble
PARALLEL = 4  # hundreds of tasks are measured every second
WINDOW_S = 10.0  # over which CPU use is averaged: rctl counts whole seconds
TOLD = 5  # failures in a row: while pot clears up after a jail that has ended they mean nothing
KIB = 1024
_PROCESS = re.compile(r"\s*(\d+)\s+(\d+)\s+(\d+(?::\d+)*(?:[.,]\d+)?)\s*")  # rss vsz time

log = structlog.get_logger()


class Measured(Protocol):
    """A host whose pots are measured."""

    @property
    def config(self) -> PluginConfig:
        """For the shortest interval."""
        ...

    @property
    def processes(self) -> Processes:
        """For rctl, ps and sysctl."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One look at a pot. `cpu_s` since its start, exact to `cpu_step_s`; `percent` as the kernel estimates it."""

    cpu_s: float
    cpu_step_s: float
    percent: float | None = None
    rss_bytes: int = 0
    swap_bytes: int | None = None
    virtual_bytes: int | None = None


@dataclass(slots=True)
class _Meter:
    """What is known of one pot."""

    usage: Usage | None = None
    read_at_s: float = float("-inf")
    failures: int = 0  # one after the other
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    history: deque[tuple[float, float]] = field(default_factory=deque)  # when, cpu_s


@dataclass(frozen=True, slots=True)
class _Facts:
    """What does not change before the next boot."""

    accounting: bool
    clock_mhz: float


class Stats:
    """Measures all pots of this plugin process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._meters: dict[str, _Meter] = {}
        self._facts: _Facts | None = None
        self._slots = asyncio.Semaphore(PARALLEL)

    async def stream(
        self, host: Measured, compute: HostCompute, pot_name: str, interval_s: float, alive: Callable[[], bool]
    ) -> AsyncGenerator[Usage, None]:
        """A sample at once and then each interval, for as long as the pot is alive."""
        while alive():
            usage = await self.sample(host, compute, pot_name)
            if usage is not None and alive():
                yield usage
            await asyncio.sleep(max(interval_s, host.config.stats_interval_s))

    async def sample(self, host: Measured, compute: HostCompute, pot_name: str) -> Usage | None:
        """What the pot uses, not older than the shortest interval; None when nothing can be known now."""
        meter = self._meters.setdefault(pot_name, _Meter())
        async with meter.busy:
            now_s = self._clock.monotonic_s()
            if now_s - meter.read_at_s < host.config.stats_interval_s:
                return meter.usage
            meter.read_at_s, meter.usage = now_s, None
            try:
                async with self._slots:
                    facts = await self._known(host.processes)
                    reading = await _read(host.processes, pot_name, accounting=facts.accounting)
            except DriverError as error:
                meter.failures += 1
                if meter.failures == TOLD:
                    log.info("cannot measure a pot", pot=pot_name, error=str(error))
                return None
            if meter.failures >= TOLD:
                log.info("a pot can be measured again", pot=pot_name)
            meter.failures = 0
            cores_mhz = compute.total_mhz / compute.cores if compute.total_mhz and compute.cores else facts.clock_mhz
            percent = cpu_percent(meter.history, self._clock.monotonic_s(), reading)
            meter.usage = Usage(
                timestamp_s=self._clock.now_s(),
                percent=percent,
                total_mhz=percent / 100 * cores_mhz,
                rss_bytes=reading.rss_bytes,
                swap_bytes=reading.swap_bytes,
                usage_bytes=reading.virtual_bytes,
            )
            return meter.usage

    def forget(self, pot_name: str) -> None:
        """The pot is gone."""
        self._meters.pop(pot_name, None)

    async def _known(self, processes: Processes) -> _Facts:
        if self._facts is None:
            clock_mhz = await sysctl(processes, "hw.clockrate")  # not on every architecture
            self._facts = _Facts(
                accounting=await sysctl(processes, "kern.racct.enable") == "1",
                clock_mhz=float(clock_mhz) if clock_mhz.isdecimal() else 0.0,
            )
        return self._facts


def cpu_percent(history: deque[tuple[float, float]], now_s: float, reading: Reading) -> float:
    """CPU use in percent of one core, and `history` brought up to date.

    The time used since the oldest reading in the window is the truth, as exact as it is counted. Within that,
    the kernel's estimate is the finer one.
    """
    while len(history) > 1 and now_s - history[1][0] >= WINDOW_S:
        history.popleft()
    history.append((now_s, reading.cpu_s))
    since_s = now_s - history[0][0]
    used_s = max(0.0, reading.cpu_s - history[0][1])  # ps counts only the processes that there still are
    if since_s <= 0:
        return 0.0
    if reading.percent is None:
        return 100 * used_s / since_s
    least, most = max(0.0, used_s - reading.cpu_step_s), used_s + reading.cpu_step_s
    return min(max(reading.percent, 100 * least / since_s), 100 * most / since_s)


def rctl_reading(output: str) -> Reading | None:
    """Read `rctl -u jail:NAME`."""
    usage = rctl_usage(output)
    if "memoryuse" not in usage:
        return None
    return Reading(
        cpu_s=usage.get("cputime", 0),
        cpu_step_s=1.0,
        percent=usage.get("pcpu"),
        rss_bytes=usage["memoryuse"],
        swap_bytes=usage.get("swapuse"),
        virtual_bytes=usage.get("vmemoryuse"),
    )


def ps_reading(output: str) -> Reading | None:
    """Read `ps -o rss= -o vsz= -o time=`: one line a process, sizes in KiB, time as minutes:seconds.hundredths."""
    found = [match for line in output.splitlines() if (match := _PROCESS.fullmatch(line))]
    if not found:
        return None
    return Reading(
        cpu_s=sum(_seconds(match[3]) for match in found),
        cpu_step_s=0.01,
        rss_bytes=KIB * sum(int(match[1]) for match in found),
        virtual_bytes=KIB * sum(int(match[2]) for match in found),
    )


def _seconds(time: str) -> float:
    total = 0.0
    for part in time.replace(",", ".").split(":"):
        total = total * 60 + float(part)
    return total


async def _read(processes: Processes, pot_name: str, *, accounting: bool) -> Reading:
    argv: tuple[str, ...] = ("rctl", "-u", f"jail:{pot_name}")
    if not accounting:
        argv = ("ps", "-J", pot_name, "-o", "rss=", "-o", "vsz=", "-o", "time=")
    done = await processes.run(argv, timeout_s=COMMAND_S)
    parse = rctl_reading if accounting else ps_reading
    reading = parse(done.stdout.decode(errors="replace")) if done.status == 0 else None
    if reading is None:
        raise PotFailed(f"{argv[0]} ended with {done.status} and without numbers: {_words(done)}")
    return reading


def _words(done: Completed) -> str:
    return done.stderr.decode(errors="replace").strip()[-200:] or "no reason given"
