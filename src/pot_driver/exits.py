"""How a task ended, from what is known: pure. An unknown end is a failure with an explanation, never 0.

The app's own code, which only pot's last-run-stats has, comes first; then pot start's status.

Not here: finding these things out (see `driver`).
"""

from __future__ import annotations

from pot_driver import signals
from pot_driver.keeper.record import ExitRecord
from pot_driver.model import ExitResult

UNKNOWN = -1  # Nomad's customary code for an end that nobody saw
APPLICATION_ERROR = 125  # pot start: the app ended non-zero
SIGNAL_BASE = 128


def result(record: ExitRecord | None, *, exit_code: int | None, stopped_by_us: bool, words: str) -> ExitResult:
    """The truth about the end of a task that has run.

    `record`: what the keeper wrote; `exit_code`: last-run-stats asked afterwards; `words`: what pot and the host's
    tools said meanwhile.
    """
    code = exit_code if record is None or record.exit_code is None else record.exit_code
    said = f": {words}" if words else ""
    if code is not None:
        outside = code != 0 and record is not None and record.start_status == 0 and not stopped_by_us
        return of_code(code, err="the pot was stopped by someone else on the host" if outside else "")
    if record is None:
        return ExitResult(
            exit_code=UNKNOWN, err=f"exit code unknown: pot start was killed, and pot has no exit code{said}"
        )
    if record.start_status == APPLICATION_ERROR:
        return ExitResult(exit_code=APPLICATION_ERROR, err=f"the application failed with an unknown exit code{said}")
    return ExitResult(
        exit_code=UNKNOWN,
        err=f"exit code unknown: pot start ended with {record.start_status}, and pot has no exit code{said}",
    )


def of_code(code: int, *, err: str = "") -> ExitResult:
    """An exit code as a shell tells it: above 128 a death by signal code-128, in FreeBSD's numbers."""
    number = code - SIGNAL_BASE
    return ExitResult(exit_code=code, signal=number if number in signals.NAMES else 0, err=err)


def describe(ended: ExitResult) -> str:
    """What a job author reads in `nomad alloc status`."""
    if ended.err:
        return ended.err[0].upper() + ended.err[1:]
    if ended.signal:
        return f"Killed by {signals.NAMES.get(ended.signal, ended.signal)}"
    return f"Exited with {ended.exit_code}"
