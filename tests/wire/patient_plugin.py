"""The real plugin process with a driver that does odd things on request, to see what they do to the process.

Not here: a driver of tasks.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import structlog

from pot_driver import app
from pot_driver.__main__ import plugin
from pot_driver.model import ExecResult, ExitResult, Fingerprint, Health, TaskEvent
from pot_driver.process import Processes

log = structlog.get_logger()


class PatientDriver:
    """Waits for ever; a "signal" makes it do something."""

    def __init__(self, **_: object) -> None:
        pass

    def set_config(self, *_: object) -> None:
        """Any is good."""

    async def init(self) -> None:
        """Nothing to do."""

    async def shutdown(self) -> None:
        """Nothing to do."""

    async def fingerprints(self) -> AsyncGenerator[Fingerprint, None]:
        """Healthy."""
        yield Fingerprint(health=Health.HEALTHY, description="Healthy")
        await asyncio.Event().wait()

    async def task_events(self) -> AsyncGenerator[TaskEvent, None]:
        """Nothing happens."""
        await asyncio.Event().wait()
        yield TaskEvent(task_id="", alloc_id="", task_name="", timestamp_s=0.0, message="")

    async def wait_task(self, _task_id: str) -> ExitResult:
        """For ever."""
        await asyncio.Event().wait()
        return ExitResult(exit_code=0)

    async def signal_task(self, _task_id: str, signal: str) -> None:
        """Log much, log oddly, take time, or write to the descriptors that were the host's."""
        if signal == "LOG":
            for number in range(1000):
                log.info("one of many", number=number)
        elif signal == "ODD":
            log_oddly()
        elif signal == "LOOK":
            await asyncio.sleep(app.LOOK_AROUND_S * 5)
        elif signal == "SHOUT":
            for fd in (1, 2):
                os.write(fd, b"x" * 200_000)
            print("printed")
            print("printed", file=sys.stderr, flush=True)

    async def exec_task(self, _task_id: str, words: Sequence[str], timeout_s: float) -> ExecResult:
        """A child, as every command on the host is one."""
        done = await Processes("/usr/local/bin:/usr/bin:/bin").run(tuple(words), timeout_s=timeout_s or 600)
        return ExecResult(stdout=done.stdout, stderr=done.stderr, exit_code=done.status)


def log_oddly() -> None:
    """Everything that has ever broken a log line."""
    odd: Any = None
    log.info("line one\nline two")
    log.info("x" * 100_000, more="y" * 100_000)
    log.info(b"\xff\xfe".decode(errors="surrogateescape"), raw=b"\xff\x00")
    log.info(odd, **{"@message": None, "@level": 3, "@timestamp": 0, "value": float("nan")})
    log.critical("worst", path=Path("/"))
    try:
        int("no number")
    except ValueError:
        log.exception("caught")


if __name__ == "__main__":
    import pot_driver.driver

    pot_driver.driver.PotDriver = PatientDriver  # type: ignore[assignment,misc]
    if "impatient" in sys.argv:
        app.LOOK_AROUND_S = app.ORPHAN_AFTER_S = 0.05
    sys.exit(plugin())
