"""The exit record that a keeper leaves: pure.

Not here: what it means for the task (see `exits`), files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_RECORD = re.compile(r"\Astatus=(\d+)\nstats=(.*)\nend\n\Z")
_EXIT_CODE = re.compile(r'"ExitCode"\s*:\s*(\d+)')


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRecord:
    """`start_status`: pot start's own (128+N when signal N killed it); `exit_code`: the app's, if pot knew it."""

    start_status: int
    exit_code: int | None


def parse(text: str) -> ExitRecord | None:
    """The record, or None when it is not whole."""
    match = _RECORD.match(text)
    if match is None:
        return None
    code = _EXIT_CODE.search(match[2])
    return ExitRecord(start_status=int(match[1]), exit_code=int(code[1]) if code else None)
