"""Process 1 of a jail: it takes in orphans, and ends, and with it the jail, when nothing else runs.

Processes that `attach` brings in are no children of process 1; their end is learnt from pidfds. So the jail ends
with its last process at once and without polling, however many were started by whom.

Not here: how the jail comes to be (see `jailer`).
"""

from __future__ import annotations

import os
import select
import signal


def serve(*, persist: bool) -> None:
    """Return when the jail is empty; never, if it is persistent."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    while True:
        _reap()
        others = _others()
        if not others and not persist:
            return
        watched = [fd for pid in others if (fd := _watch(pid)) is not None]
        poll = select.poll()
        for fd in (woken, *watched):
            poll.register(fd, select.POLLIN)
        if any(fd == woken for fd, _ in poll.poll()):
            os.read(woken, 4096)
        for fd in watched:
            os.close(fd)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _others() -> list[int]:
    """The living processes of this jail but this one."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and name != "1" and _lives(name)]


def _lives(pid: str) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return False
    fields = text[text.rindex(b")") + 2 :].split()
    threads = int(fields[17])
    return fields[0] not in (b"Z", b"X") or threads > 1  # the first thread of a living process may have ended


def _watch(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None
