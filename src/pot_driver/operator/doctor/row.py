"""One line of the doctor's report.

Not here: making them (see `system`, `potrows`, `agent`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """How bad it is. A warning is something that not every host needs."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`found` is what is the case, `meaning` what follows from it, `mend` the command or the line that changes it."""

    name: str
    verdict: Verdict
    found: str
    meaning: str = ""
    mend: str = ""


def judged(
    name: str,
    fine: bool,  # noqa: FBT001 - what the row is about
    found: str,
    meaning: str,
    mend: str,
    bad: Verdict = Verdict.FAILURE,
) -> Row:
    """A row that is ok, or says what follows and what to do."""
    if fine:
        return Row(name=name, verdict=Verdict.OK, found=found)
    return Row(name=name, verdict=bad, found=found, meaning=meaning, mend=mend)
