"""What the pots use, from one look at the host for all of them.

A failed look is left out: the next may succeed, and a stream that ends or fails only makes Nomad complain and ask
again.

Rooms: `readings` one look serves all who ask within the shortest interval; `reckoning` pure: output and numbers.

Not here: which tasks are asked for, limits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from pot_driver.errors import DriverError
from pot_driver.model import HostCompute, Usage
from pot_driver.stats.readings import Measured, Readings
from pot_driver.stats.reckoning import cpu_percent

if TYPE_CHECKING:
    from pot_driver.clock import Clock
    from pot_driver.stats.reckoning import Reading

TOLD = 5  # failures in a row: while pot clears up after a jail that has ended they mean nothing

log = structlog.get_logger()


@dataclass(slots=True)
class _Meter:
    """What is known of one pot's CPU time, and how often it could not be measured."""

    failures: int = 0  # one after the other
    history: deque[tuple[float, float]] = field(default_factory=deque)  # when, cpu_s
    read_at_s: float = float("-inf")
    percent: float = 0.0


class Stats:
    """Measures all pots of this plugin process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._meters: dict[str, _Meter] = {}
        self._readings = Readings(clock)

    async def stream(
        self, host: Measured, compute: HostCompute, pot_name: str, interval_s: float, alive: Callable[[], bool]
    ) -> AsyncGenerator[Usage, None]:
        """A sample at once and then each interval, for as long as the pot is alive."""
        with self._readings.wanted(pot_name):
            while alive():
                usage = await self.sample(host, compute, pot_name)
                if usage is not None and alive():
                    yield usage
                await asyncio.sleep(max(interval_s, host.config.stats_interval_s))

    async def sample(self, host: Measured, compute: HostCompute, pot_name: str) -> Usage | None:
        """What the pot uses, not older than the shortest interval; None when nothing can be known now."""
        meter = self._meters.setdefault(pot_name, _Meter())
        try:
            reading = await self._readings.of(host, pot_name)
        except DriverError as error:
            meter.failures += 1
            if meter.failures == TOLD:
                log.info("cannot measure a pot", pot=pot_name, error=str(error))
            return None
        if meter.failures >= TOLD:
            log.info("a pot can be measured again", pot=pot_name)
        meter.failures = 0
        return self._usage(compute, meter, reading)

    def forget(self, pot_name: str) -> None:
        """The pot is gone."""
        self._meters.pop(pot_name, None)

    def _usage(self, compute: HostCompute, meter: _Meter, reading: Reading) -> Usage:
        if reading.at_s > meter.read_at_s:  # several may ask about one reading
            meter.read_at_s = reading.at_s
            meter.percent = cpu_percent(meter.history, reading)
        known = compute.total_mhz and compute.cores
        cores_mhz = compute.total_mhz / compute.cores if known else self._readings.clock_mhz
        return Usage(
            timestamp_s=self._clock.now_s() - (self._clock.monotonic_s() - reading.at_s),
            percent=meter.percent,
            total_mhz=meter.percent / 100 * cores_mhz,
            rss_bytes=reading.rss_bytes,
            swap_bytes=reading.swap_bytes,
            usage_bytes=reading.virtual_bytes,
        )
