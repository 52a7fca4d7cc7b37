"""The plugin's stderr as Nomad reads it: hclog's JSON lines, or plain text with a level in brackets.

Not here: writing such lines (see `logs`), showing them (see `console`).
"""

from __future__ import annotations

import json
import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LEVELS = frozenset({"trace", "debug", "info", "warn", "error"})
_RESERVED = frozenset({"@level", "@message", "@timestamp"})
_PLAIN = re.compile(r"\[(TRACE|DEBUG|INFO|WARN|ERROR)\]\s*")
_TAIL_LINES = 5  # what an error quotes when the plugin dies before it can speak


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One entry. `structured`: it was a JSON object with string values where the agent insists on them."""

    level: str
    message: str
    fields: Mapping[str, object] = field(default_factory=dict)
    structured: bool = False


def parse(line: str) -> LogLine:
    """Read one line. What is not understood is kept whole, at DEBUG, as in the agent's log."""
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    if isinstance(entry, dict):
        level, message = entry.get("@level"), entry.get("@message")
        if not isinstance(level, str) or not isinstance(message, str):
            return LogLine(level="debug", message=line)
        if level.lower() in _LEVELS and isinstance(entry.get("@timestamp"), str):
            fields = {key: value for key, value in entry.items() if key not in _RESERVED}
            return LogLine(level=level.lower(), message=message, fields=fields, structured=True)
    if plain := _PLAIN.match(line):
        return LogLine(level=plain[1].lower(), message=line[plain.end() :])
    return LogLine(level="debug", message=line)


class Lines:
    """Bytes in, entries out."""

    def __init__(self, sink: Callable[[LogLine], None]) -> None:
        self._sink = sink
        self._rest = b""
        self._last: deque[str] = deque(maxlen=_TAIL_LINES)

    def feed(self, data: bytes) -> None:
        """Take what was read."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._emit(line)

    def end(self) -> None:
        """Take the end of file: what has no newline is a line too."""
        if self._rest:
            self._emit(self._rest)
            self._rest = b""

    def tail(self) -> str:
        """The last lines, for an error text."""
        return " / ".join(self._last) or "it said nothing"

    def _emit(self, line: bytes) -> None:
        entry = parse(line.decode(errors="replace"))
        self._last.append(entry.message)
        self._sink(entry)
