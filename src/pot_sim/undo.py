"""The trap of clone and create: a signal, or a step that fails, undoes the half-made pot.

As in pot the trap (TERM, INT) stays set once one of the two has been used, with nothing to undo when it is done; and
the undo's destroy may be what ends the process: with 0, if the pot was not complete yet.

Not here: what is made (`commands/clone`, `commands/create`).
"""

from __future__ import annotations

import contextlib
import signal

from pot_sim.shell import Exit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import NoReturn

    from pot_sim.session import Pot


class Undone(BaseException):
    """The work has to be undone; not an Exception, so that nothing on its way takes it for its own."""


def trap() -> None:
    """From now on a signal ends the process; in `making` it undoes the work first."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Exit(1)


def _undo(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Undone


@contextlib.contextmanager
def making(pot: Pot, name: str, *, keep: bool) -> Iterator[None]:
    """The work on a new pot; on `Undone` nothing is left of it, unless it is to be kept."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _undo)
    try:
        yield
        trap()
    except Undone:
        trap()
        pot.verbosity = 0
        _stop_quietly(pot, name)
        if not keep:
            pot.command("destroy", "-Fp", name, "-q")
        raise Exit(1) from None


def _stop_quietly(pot: Pot, name: str) -> None:
    pot.mute(on=True)
    with contextlib.suppress(Exit):
        pot.command("stop", name)
    pot.mute(on=False)
