"""The one door to the `pot` executable.

Every command has a time limit, and a failure carries pot's own words.

Not here: the order of commands (see `plan` and `driver`), argv (see `command`), output formats (see `parse`).
"""

from __future__ import annotations

import re

import structlog

from pot_driver.config import Timeouts
from pot_driver.errors import DriverError, PotFailed, TryAgain
from pot_driver.pot import command, parse
from pot_driver.pot.command import PotStep
from pot_driver.process import Completed, Processes

log = structlog.get_logger()

# Reasons that pass by themselves: Nomad's restart policy should try again.
_PASSING = re.compile(
    r"busy|no space left|out of space|quota exceeded|i/o is currently suspended"
    r"|cannot allocate memory|mkstemp failed|timed? ?out|connection (refused|reset)"
    r"|network is unreachable|no route to host|temporar|try again|epair failed|potnet",
    re.IGNORECASE,
)


class Pot:
    """Runs pot commands."""

    def __init__(self, processes: Processes, timeouts: Timeouts, executable: str = "pot") -> None:
        self.processes = processes
        self.executable = executable  # a name on the host path, or an absolute path
        self._timeouts = timeouts

    async def run(self, step: PotStep, *, extra_s: float = 0.0) -> Completed:
        """Run a command that must succeed; PotFailed or TryAgain with pot's words when it does not."""
        completed = await self.ask(step, extra_s=extra_s)
        if completed.status != 0:
            raise failure(step, completed)
        return completed

    async def ask(self, step: PotStep, *, extra_s: float = 0.0) -> Completed:
        """Run a command whose exit status is its answer; `extra_s` is added to its time limit."""
        limit_s: float = getattr(self._timeouts, step.timeout) + extra_s
        completed = await self.processes.run((self.executable, *step.argv), timeout_s=limit_s)
        log.debug("pot command ended", verb=step.verb, status=completed.status, reason=step.reason)
        return completed

    async def version(self) -> str:
        """The version of pot, e.g. "0.16.0"."""
        return (await self.run(command.version())).stdout.decode(errors="replace").strip()

    async def fs_root(self) -> str:
        """POT_FS_ROOT."""
        return (await self.run(command.config_get("fs_root"))).stdout.decode(errors="replace").strip()


def failure(step: PotStep, completed: Completed) -> DriverError:
    """The error of a command that failed: what was asked, what pot said."""
    words = parse.error_text(completed.stdout, completed.stderr) or f"it ended with {completed.status} and said nothing"
    return kind_of(words)(f"pot {step.verb} failed ({step.reason}): {words}")


def kind_of(words: str) -> type[PotFailed | TryAgain]:
    """Whether what pot said may pass by itself."""
    return TryAgain if _PASSING.search(words) else PotFailed
