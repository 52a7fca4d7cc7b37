"""The log: hclog's JSON, one line an entry, on a private copy of standard error.

The agent reads these lines with little patience: `@message` that is no string ends it, a line of 64 KiB or more is
chopped, and after it has crashed nobody reads at all. So every entry leaves here as a line that it understands,
and a write that fails is nobody's problem.

Not here: what is worth an entry.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import queue
import sys
import threading
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any

import structlog

LINE_LIMIT = 64 * 1024  # bytes; what the host's reader takes, newline included
WAITING = 1000  # entries that the agent has not read yet
FLUSH_S = 0.5
_CUTS = (8192, 256)  # characters of each value that stay when a line is too long
_LEVELS = {"warning": "warn", "critical": "error", "exception": "error", "fatal": "error", "notset": "trace"}
_OWN = ("@level", "@message", "@timestamp")


_writers: list[_Writer] = []


def configure(stderr: int) -> None:
    """Send structlog's entries, the standard library's and Python's own last words to a copy of `stderr`."""
    # os.dup's copy is closed on exec: no child ever holds the host's pipe.
    writer = _Writer(os.dup(stderr))
    _writers.append(writer)
    atexit.register(flush)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%S.%fZ", utc=True, key="@timestamp"),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=lambda *_: writer,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Bridge()], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)
    sys.excepthook = _last_words
    threading.excepthook = lambda args: _last_words(args.exc_type, args.exc_value, args.exc_traceback)
    sys.unraisablehook = lambda args: _last_words(args.exc_type, args.exc_value, args.exc_traceback)


def render(_logger: object, method: str, event: MutableMapping[str, Any]) -> str:
    """One entry as one line of ASCII JSON below the limit; the three fields of hclog's are always strings."""
    entry = {key: value for key, value in event.items() if key not in _OWN}
    entry = {
        "@level": _LEVELS.get(method, method),
        "@message": text(entry.pop("event", "")),
        "@timestamp": text(event.get("@timestamp")),
        **entry,
    }
    line = _dumps(entry)
    for limit in _CUTS:
        if len(line) < LINE_LIMIT:
            return line
        line = _dumps({key: _cut(value, limit) for key, value in entry.items()})
    return line if len(line) < LINE_LIMIT else _dumps({key: _cut(entry[key], _CUTS[0]) for key in _OWN})


def text(value: object) -> str:
    """Anything as text, whatever it is."""
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a log entry must not fail for what it shows
        return f"<{type(value).__name__} that cannot be shown>"


def _dumps(entry: MutableMapping[str, Any] | dict[str, Any]) -> str:
    try:
        return json.dumps(entry, default=text, allow_nan=False)
    except (ValueError, TypeError, RecursionError):  # a NaN, a key that is no string, a loop
        return json.dumps({key: text(value) for key, value in entry.items()})


def _cut(value: object, limit: int) -> str:
    whole = text(value)
    return whole if len(whole) <= limit else f"{whole[:limit]}… ({len(whole) - limit} characters more)"


def _last_words(kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None) -> None:
    info = (kind, error, traceback) if error is not None else None
    structlog.get_logger().error(f"unexpected error: {kind.__name__}: {text(error)}", exc_info=info)


class _Writer:
    """structlog's end of the line: every level is a method that writes.

    A thread writes, because an agent that does not read must not stop the plugin: lines that find no room are counted,
    and the count is told when there is room again.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lines: queue.Queue[bytes] = queue.Queue(WAITING)
        self._dropped = 0
        threading.Thread(target=self._work, name="log", daemon=True).start()

    def write(self, line: str) -> None:
        try:
            if self._dropped:
                self._lines.put_nowait(_dropped(self._dropped))
                self._dropped = 0
            self._lines.put_nowait(line.encode() + b"\n")
        except queue.Full:
            self._dropped += 1

    def flush(self, seconds: float) -> None:
        """Wait until all is written, for a limited time."""
        with self._lines.all_tasks_done:
            self._lines.all_tasks_done.wait_for(lambda: not self._lines.unfinished_tasks, seconds)

    def _work(self) -> None:
        while True:
            rest = memoryview(self._lines.get())
            try:
                while rest:
                    rest = rest[os.write(self._fd, rest) :]
            except OSError:
                pass  # the agent has gone: nobody is left to tell
            finally:
                self._lines.task_done()

    debug = info = warning = error = critical = exception = fatal = msg = log = write


def _dropped(count: int) -> bytes:
    words = f"{count} log entries were dropped, because nobody read them"
    return render(None, "warning", {"event": words}).encode() + b"\n"


def flush(seconds: float = FLUSH_S) -> None:
    """Before the process ends: wait until the log is written, but not for an agent that does not read."""
    for writer in _writers:
        writer.flush(seconds)


class _Bridge(logging.Handler):
    """What libraries say through the standard library: grpc, asyncio, warnings."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - a library's wrong format string must not end anything
            message = text(record.msg)
        log = structlog.get_logger()
        log.log(max(record.levelno, logging.DEBUG), message, logger=record.name, exc_info=record.exc_info)
