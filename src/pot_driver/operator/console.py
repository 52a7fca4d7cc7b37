"""What a person sees: steps with their time, events, and the tasks' own lines with a prefix each.

Plain: one line per thing, no colours, a step's line begins with its name and its seconds.

Not here: deciding what to tell (see `run`, `demo`).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from pot_driver.clock import Clock, SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOLD = "the console has told it"  # a note on an error that needs no further words
_RESET, _BOLD, _DIM = "\x1b[0m", "\x1b[1m", "\x1b[2m"
_RED, _GREEN, _YELLOW = "\x1b[31m", "\x1b[32m", "\x1b[33m"
_TASK_COLOURS = ("\x1b[36m", "\x1b[35m", "\x1b[34m", "\x1b[33m")
_PLAINER = str.maketrans({"→": "->", "…": "..."})
_CLEAR_LINE = "\r\x1b[K"
_NAME_WIDTH = 12  # "fingerprint" and a blank


@dataclass(slots=True)
class Step:
    """What a step has to say for itself when it is done."""

    result: str = ""
    more: list[str] = field(default_factory=list)  # shown below it, not in plain output


class Console:
    """One per program. `plain` is for pipes and logs."""

    def __init__(
        self,
        *,
        plain: bool = False,
        steps_only: bool = False,
        stream: TextIO | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._stream = stream or sys.stdout
        self._clock = clock or SystemClock()
        self.plain = plain or not self._stream.isatty()
        self._steps_only = steps_only and self.plain
        self._colour = not self.plain and "NO_COLOR" not in os.environ
        self._unicode = (self._stream.encoding or "").lower().startswith("utf")
        self.lost = False  # the reader is gone: a closed pipe, a terminal that was hung up
        self.on_lost: Callable[[], None] = lambda: None
        self._status = ""
        self._partial: dict[tuple[str, str], bytes] = {}
        self._tasks: dict[str, str] = {}

    @contextmanager
    def step(self, name: str, doing: str = "") -> Iterator[Step]:
        """Time what is done inside; say how it went."""
        step = Step()
        began = self._clock.monotonic_s()
        self._show_status(f"{self._sign('…', '.')} {name:<{_NAME_WIDTH}} {doing}")
        try:
            yield step
        except BaseException as error:
            seconds = self._clock.monotonic_s() - began
            interrupted = isinstance(error, (asyncio.CancelledError, KeyboardInterrupt))
            words = "interrupted" if interrupted else f"failed: {str(error) or type(error).__name__}"
            self._step_line(self._paint(_RED, self._sign("✗", "x")), name, seconds, words)
            error.add_note(TOLD)
            raise
        seconds = self._clock.monotonic_s() - began
        self._step_line(self._paint(_GREEN, self._sign("✓", "+")), name, seconds, step.result)
        if not self.plain:
            for line in step.more:
                self._write(f"{'':<{_NAME_WIDTH + 13}}{self._paint(_DIM, line)}")

    def title(self, text: str) -> None:
        """What this is."""
        if not self._steps_only:
            self._write(self._paint(_BOLD, text))

    def note(self, text: str) -> None:
        """Something to know."""
        if not self._steps_only:
            self._write(text if self.plain else f"  {self._paint(_DIM, text)}")

    def problem(self, text: str) -> None:
        """Something wrong."""
        self._write(self._paint(_RED, text))

    def verdict(self, verdict: str, name: str, text: str) -> None:
        """A finding: ok, warning or failure."""
        colour = {"ok": _GREEN, "warning": _YELLOW}.get(verdict, _RED)
        self._write(f"{self._paint(colour, f'{verdict:<8}')} {name}: {text}")

    def detail(self, text: str) -> None:
        """What belongs to the line before."""
        if text:
            self._write(f"{'':<9}{text}")

    def event(self, task: str, message: str) -> None:
        """A task event, as `nomad alloc status` would list it."""
        if self._steps_only:
            return
        sign = "event" if self.plain else self._paint(_YELLOW, self._sign("»", ">"))
        self._write(f"{sign} {task}: {message}" if self.plain else f"{sign} {task:<12} {message}")

    def output(self, task: str, stream: str, data: bytes) -> None:
        """What a task wrote; only whole lines are shown until `flush`."""
        *lines, rest = (self._partial.get((task, stream), b"") + data).split(b"\n")
        self._partial[task, stream] = rest
        for line in lines:
            self._output_line(task, stream, line)

    def flush(self) -> None:
        """Show what came without a newline at its end."""
        for (task, stream), rest in self._partial.items():
            if rest:
                self._output_line(task, stream, rest)
        self._partial.clear()

    def _output_line(self, task: str, stream: str, line: bytes) -> None:
        if self._steps_only:
            return
        text = line.decode(errors="replace").rstrip("\r")
        if self.plain:
            self._write(f"{task} {stream}: {text}")
            return
        colour = self._tasks.setdefault(task, _TASK_COLOURS[len(self._tasks) % len(_TASK_COLOURS)])
        bar = self._sign("│", "|") if stream == "stdout" else self._paint(_RED, self._sign("┃", "!"))
        self._write(f"  {self._paint(colour, task)} {bar} {text}")

    def _step_line(self, sign: str, name: str, seconds: float, result: str) -> None:
        self._status = ""
        if self.plain:
            self._write(f"{name} {seconds:.2f} s {result}".rstrip())
        else:
            time = self._paint(_DIM, f"{seconds:7.2f} s")
            self._write(f"{sign} {self._paint(_BOLD, f'{name:<{_NAME_WIDTH}}')} {time}  {result}")

    def _show_status(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 1  # a longer one could not be taken back
        self._status = "" if self.plain else self._paint(_DIM, text.rstrip()[:width])
        if self._status:
            self._send(_CLEAR_LINE + self._status)

    def _write(self, line: str) -> None:
        self._send(line + "\n" if self.plain else f"{_CLEAR_LINE}{line}\n{self._status}")

    def _send(self, text: str) -> None:
        """Where nobody reads any more, nothing is written; what the stream's encoding lacks is written otherwise."""
        if self.lost:
            return
        if (encoding := self._stream.encoding) and not self._unicode:
            text = text.translate(_PLAINER).encode(encoding, "backslashreplace").decode(encoding)
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            self.lost = True
            self.on_lost()

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_RESET}" if self._colour else text

    def _sign(self, nice: str, ascii_only: str) -> str:
        return nice if self._unicode else ascii_only
