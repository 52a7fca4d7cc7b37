"""The one place that reads a clock.

Not here: sleeping (use asyncio.sleep and asyncio.timeout), host boot time (see `fingerprint`).
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for people and records, monotonic time for durations."""

    def now_s(self) -> float:
        """Seconds since the epoch."""
        ...

    def monotonic_s(self) -> float:
        """Seconds from an arbitrary start that never goes back."""
        ...


class SystemClock:
    """The host's clocks."""

    def now_s(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def monotonic_s(self) -> float:
        """Seconds from an arbitrary start that never goes back."""
        return time.monotonic()
