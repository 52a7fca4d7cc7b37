"""`pot signal`: pkill in a pot, by main process, pid or pattern.

Not here: which processes a pot has (`jail`).
"""

from __future__ import annotations

import os
import re
import signal as signals

from pot_sim import conf, faults, jail, pots
from pot_sim.commands.stop import main_pid_file
from pot_sim.session import Pot
from pot_sim.shell import Exit, complain, natural

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# killall -l on FreeBSD
NAMES = (
    *("HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "EMT", "FPE", "KILL", "BUS", "SEGV", "SYS", "PIPE", "ALRM", "TERM"),
    *("URG", "STOP", "TSTP", "CONT", "CHLD", "TTIN", "TTOU", "IO", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "INFO"),
    *("USR1", "USR2"),
)

# What Linux has no signal for: the nearest by what it does to a process that does not expect it.
_NEAREST = {"EMT": signals.SIGTRAP, "INFO": signals.SIGWINCH}

_SENT, _NO_MATCH, _USAGE, _FATAL = 0, 1, 2, 3  # pkill's


class _Asked:
    """The options."""

    def __init__(self) -> None:
        self.pot = self.pid = self.pattern = ""
        self.signal = "SIGINFO"
        self.force = self.dry_run = False


def run(pot: Pot, args: list[str]) -> int:
    asked = _parse(pot, args)
    if not asked.pot:
        raise Exit(pot.usage_error("signal", "A pot name is mandatory"))
    problem = ""
    if asked.signal.removeprefix("SIG") not in NAMES or faults.on(pot.root, "signal", asked.pot):
        problem = f"Invalid signal, valid signals: {' '.join(NAMES)}"
    elif asked.pid and asked.pattern:
        problem = "Process ID and pattern match are mutually exclusive"
    elif asked.pid and not natural(asked.pid):
        problem = "Invalid pid"
    if problem:
        pot.error(problem)
        raise Exit(1)
    if not pots.is_running(pot.root, asked.pot):
        return _soften(pot, asked, 1, "The pot is not running")
    pot.must_be_root()
    return _send(pot, asked)


def _parse(pot: Pot, args: list[str]) -> _Asked:
    asked = _Asked()
    for option, value in pot.options("signal", args, "hvflCs:P:m:p:"):
        match option:
            case "l":
                pot.echo(" ".join(NAMES))
                raise Exit(0)
            case "f":
                asked.force = True
            case "C":
                asked.dry_run = True
            case "s":
                asked.signal = value
            case "P":
                asked.pid = value
            case "m":
                asked.pattern = value
            case "p":
                asked.pot = value
    return asked


def _soften(pot: Pot, asked: _Asked, status: int, text: str) -> int:
    """With -f what failed is only told, and the status is 0."""
    if asked.force:
        pot.info(text)
        return 0
    pot.error(text)
    return status


def _send(pot: Pot, asked: _Asked) -> int:
    if asked.pattern:
        pot.info(f"Sending {asked.signal} by pattern to pot {asked.pot}")
        status = _pkill(pot, asked, lambda pid: re.search(asked.pattern, _command(pid)) is not None)
    elif asked.pid:
        pot.info(f"Sending {asked.signal} to pid {asked.pid} in pot {asked.pot}")
        status = _pkill(pot, asked, lambda pid: pid == int(asked.pid))
    else:
        pot.info(f"Sending {asked.signal} to main process of pot {asked.pot}")
        if conf.get(pot.root, asked.pot, "pot.attr.persistent") != "NO":
            return _soften(pot, asked, 1, "Persistent pots have no main process")
        status = _to_main(pot, asked)
    return _soften(pot, asked, status, "Sending signal failed") if status else 0


def _to_main(pot: Pot, asked: _Asked) -> int:
    file = main_pid_file(pot, asked.pot)
    program = "pgrep" if asked.dry_run else "pkill"
    try:
        with open(file, encoding="utf-8") as opened:
            main = opened.read().strip()
    except OSError as error:
        complain(f"{program}: Cannot open pidfile `{file}': {error.strerror}")
        return _FATAL
    if not natural(main):
        complain(f"{program}: Pidfile `{file}' is empty")
        return _FATAL
    return _pkill(pot, asked, lambda pid: pid == int(main))


def _pkill(pot: Pot, asked: _Asked, wanted: Callable[[int], bool]) -> int:
    """As pkill -j, or pgrep -j: the status says whether anything matched."""
    if not pots.is_running(pot.root, asked.pot):
        complain(f"{'pgrep' if asked.dry_run else 'pkill'}: Invalid jail ID or name `{asked.pot}'")
        return _USAGE
    matches = [pid for pid in jail.pids(pot.root, asked.pot) if wanted(pid)]
    for pid in matches:
        if asked.dry_run:
            pot.echo(str(pid))
            continue
        try:
            os.kill(pid, _number(asked.signal))
        except ProcessLookupError:
            continue
    return _SENT if matches else _NO_MATCH


def _number(name: str) -> int:
    short = name.removeprefix("SIG")
    return _NEAREST.get(short) or signals.Signals[f"SIG{short}"]


def _command(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""
