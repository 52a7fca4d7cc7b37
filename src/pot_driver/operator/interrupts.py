"""SIGINT, SIGTERM and SIGHUP, for all the time that a command has something to tidy up.

The first one cancels the command, which then removes what it has made; while it does so, more of them change nothing.
A command that can end in a better way says so with `acting`.

Not here: what is tidied up (see `run`, `demo`).
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Listens from `with` to the end of it, for the task that has entered it."""

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._cancelled = False
        self._act: Callable[[], None] = self._cancel
        # What `nohup` has us ignore stays ignored.
        self._heard = [number for number in _NUMBERS if signal.getsignal(number) is not signal.SIG_IGN]
        for number in self._heard:
            self._loop.add_signal_handler(number, self.interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        for number in self._heard:
            self._loop.remove_signal_handler(number)

    def interrupt(self) -> None:
        """As if a signal had come; also for a reader of our output that is gone."""
        self._act()

    @contextmanager
    def acting(self, act: Callable[[], None]) -> Iterator[None]:
        """Do this instead of being cancelled; afterwards there is only tidying up, which nothing interrupts."""
        self._act = act
        try:
            yield
        finally:
            self._act = _nothing

    def _cancel(self) -> None:
        if self._task and not self._cancelled:
            self._cancelled = True
            self._task.cancel()


def _nothing() -> None:
    """Tidying up goes on."""
