"""Signals by FreeBSD's names and numbers.

A job names them, an exit code of 128 and more tells one, and both mean FreeBSD's, also where a simulator of pot runs
on another kernel. Only who sends one needs the number that this kernel has for the name.

Source: signal.h of FreeBSD 12.1.

Not here: sending (see `pot.jails`).
"""

from __future__ import annotations

import signal
from collections.abc import Mapping

_LIST = (
    "HUP INT QUIT ILL TRAP ABRT EMT FPE KILL BUS SEGV SYS PIPE ALRM TERM URG STOP TSTP CONT CHLD TTIN TTOU "
    "IO XCPU XFSZ VTALRM PROF WINCH INFO USR1 USR2"
)
NAMES: Mapping[int, str] = {number: f"SIG{word}" for number, word in enumerate(_LIST.split(), start=1)}
_ALIASES: Mapping[str, str] = {"SIGIOT": "SIGABRT", "SIGCLD": "SIGCHLD", "SIGPOLL": "SIGIO"}


def name(text: str) -> str | None:
    """The name of a signal given as "SIGHUP", "hup" or "1"; None when there is none."""
    bare = text.strip().upper()
    if bare.isascii() and bare.isdecimal():
        return NAMES.get(int(bare)) if len(bare) < 4 else None  # noqa: PLR2004 - no number of a signal is as long
    full = f"SIG{bare.removeprefix('SIG')}"
    full = _ALIASES.get(full, full)
    return full if full in NAMES.values() else None


def number_here(signal_name: str) -> int | None:
    """The number by which this kernel knows the signal; None where it does not."""
    found = getattr(signal, signal_name, None)
    return int(found) if isinstance(found, signal.Signals) else None
