"""jexec -l: what a command that joins a running pot finds, and how its end is told.

Not here: entering the namespaces (`jail`).
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess

from pot_sim import jail
from pot_sim.launch import as_exit_status
from pot_sim.shell import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pot_sim.session import Pot

_PATH = "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"


class _Account:
    """Who the command runs as: known to the host (jexec -u, or nobody named) or to the pot (-U)."""

    def __init__(self, name: str, uid: int, gid: int, home: str, shell: str) -> None:
        self.name, self.uid, self.gid, self.home, self.shell = name, uid, gid, home, shell


def run(
    pot: Pot,
    name: str,
    argv: list[str],
    *,
    host_user: str = "",
    pot_user: str = "",
    detached: bool = False,
    terminal: bool = False,
) -> int:
    """The command's status as a shell tells it; 1 where jexec itself fails, with its words on stderr."""
    account = _of_pot(pot, name, pot_user) if pot_user else _of_host(host_user or "root")
    if account is None:
        complain(f"jexec: {pot_user or host_user}: no such user")
        return 0 if detached else 1
    for number in (signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    environment = _environment(account)
    argv = argv or [account.shell or "/bin/sh"]
    if terminal and not detached:
        from pot_sim import terminal as terminals  # noqa: PLC0415 (only for -t)

        return terminals.run(lambda: _waited(pot, name, argv, environment, account))
    if detached:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
        _started(pot, name, argv, environment, account, subprocess.DEVNULL)
        return 0
    return _waited(pot, name, argv, environment, account)


def _waited(pot: Pot, name: str, argv: list[str], environment: dict[str, str], account: _Account) -> int:
    child = _started(pot, name, argv, environment, account, None)
    return 1 if child is None else as_exit_status(child.wait())


def _started(
    pot: Pot,
    name: str,
    argv: list[str],
    environment: dict[str, str],
    account: _Account,
    stream: int | None,
) -> subprocess.Popen[bytes] | None:
    try:
        return _attach(pot, name, argv, environment, account, stream)
    except jail.JailError as error:
        complain(str(error))
        return None


def _attach(
    pot: Pot,
    name: str,
    argv: list[str],
    environment: dict[str, str],
    account: _Account,
    stream: int | None,
) -> subprocess.Popen[bytes]:
    return jail.attach(
        pot.root,
        name,
        argv,
        env=environment,
        cwd=account.home,
        stdin=stream,
        stdout=stream,
        stderr=stream,
        user=None if account.uid == 0 else f"{account.uid}:{account.gid}",
    )


def _environment(account: _Account) -> dict[str, str]:
    found = {
        "PATH": f"{_PATH}:{account.home}/bin",
        "USER": account.name,
        "HOME": account.home,
        "SHELL": account.shell or "/bin/sh",
    }
    if "TERM" in os.environ:
        found["TERM"] = os.environ["TERM"]
    return found


def _of_host(user: str) -> _Account | None:
    try:
        found = pwd.getpwnam(user)
    except KeyError:
        return None
    return _Account(user, found.pw_uid, found.pw_gid, found.pw_dir, found.pw_shell)


def _of_pot(pot: Pot, name: str, user: str) -> _Account | None:
    try:
        with open(pot.root.m(name) + "/etc/passwd", encoding="utf-8", errors="replace") as file:
            entries = [line.rstrip("\n").split(":") for line in file]
    except OSError:
        return None
    for entry in entries:
        if entry[0] == user and len(entry) >= 7:
            return _Account(user, int(entry[2]), int(entry[3]), entry[5], entry[6])
    return None
