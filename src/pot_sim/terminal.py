"""script(1), as `pot exec -t` uses it: the command gets a terminal, and all that it says comes on stdout.

Not here: who the command runs as (`joining`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import tty

from pot_sim.shell import end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BLOCK = 1 << 16


def run(command: Callable[[], int]) -> int:
    """Call `command` in a child whose terminal is a new one, pass everything to and fro; its status."""
    master, slave = pty.openpty()
    _take_size(master)
    child = os.fork()
    if child == 0:
        os.close(master)
        _own(slave)
        end(command())
    os.close(slave)
    with _raw_stdin():
        signal.signal(signal.SIGWINCH, lambda _number, _frame: _take_size(master))
        _copy(master, os.pidfd_open(child))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status if status >= 0 else 128 - status


def _own(slave: int) -> None:
    """A session of its own, led by this process, which is deaf to the keyboard's signals; what it starts is not."""
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for number in (0, 1, 2):
        os.dup2(slave, number)
    os.close(slave)
    for each in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(each, lambda _number, _frame: None)


def _copy(master: int, ended: int) -> None:
    """Until the child has ended and all that it said is out."""
    sources = [master, ended, 0]
    while True:
        ready, _, _ = select.select(sources, [], [])
        if master in ready:
            output = _read(master)
            if not output:
                return
            os.write(1, output)
        elif ended in ready:
            return
        elif 0 in ready:
            typed = _read(0)
            if typed:
                os.write(master, typed)
                continue
            sources.remove(0)
            with contextlib.suppress(OSError):
                os.write(master, termios.tcgetattr(master)[6][termios.VEOF])


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _BLOCK)
    except OSError:  # nobody holds the other side of the terminal
        return b""


def _take_size(master: int) -> None:
    """As large as the terminal on stdin, if there is one."""
    with contextlib.suppress(OSError):
        size = fcntl.ioctl(0, termios.TIOCGWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
        fcntl.ioctl(master, termios.TIOCSWINSZ, size)


@contextlib.contextmanager
def _raw_stdin() -> Iterator[None]:
    if not os.isatty(0):
        yield
        return
    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSAFLUSH, before)
