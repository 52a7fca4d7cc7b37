"""FreeBSD's rules for a Python process on Linux: tests run under them with `scripts/test --freebsd`.

Python imports this module at its start where its directory is on PYTHONPATH, so the plugin that a test launches is
under the rules, too. The simulator is not: its programs are the host.

What differs, and matters to a program that was written on Linux:

    reading a FIFO    without a writer: end-of-file only for a reader that was there when a writer left, else EAGAIN
    selectors         no epoll; gRPC uses poll(2)
    children          by fork and exec: neither vfork nor posix_spawn
    socket paths      103 bytes
    arguments         with the environment at most 256 KiB (FreeBSD 12), for all that a child becomes, too
    flock             not on a FIFO

Not here: what only a kernel can do (kqueue, jails), the sockets that gRPC makes by itself.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import select
import selectors
import socket
import stat
import subprocess
from typing import Any

SOCKET_PATH = 103
ARG_MAX = 256 * 1024
STACK = 4 * ARG_MAX  # Linux allows a quarter of the stack's limit
USUAL_STACK = 8 << 20

_read, _flock = os.read, fcntl.flock
_bind, _connect = socket.socket.bind, socket.socket.connect


def read(fd: int, length: int, /) -> bytes:
    """Linux's poll(2) knows what FreeBSD's read(2) goes by: whether a writer has left since this reader came."""
    if stat.S_ISFIFO(os.fstat(fd).st_mode) and not os.get_blocking(fd):
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        if not poll.poll(0):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return _read(fd, length)


def flock(fd: Any, operation: int, /) -> None:
    """A FIFO cannot be locked."""
    if stat.S_ISFIFO(os.fstat(fd).st_mode):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    _flock(fd, operation)


def _fits(address: object) -> None:
    if isinstance(address, str | bytes) and len(os.fsencode(address)) > SOCKET_PATH:
        raise OSError("AF_UNIX path too long")


class _Popen(subprocess.Popen):  # type: ignore[type-arg]
    """Every child is under the limit of the arguments, and hands it on."""

    def __init__(self, *args: Any, **options: Any) -> None:
        _limit_stack(STACK)
        try:
            super().__init__(*args, **options)
        finally:
            _limit_stack(USUAL_STACK)


def _limit_stack(size: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    resource.setrlimit(resource.RLIMIT_STACK, (size if hard == resource.RLIM_INFINITY else min(size, hard), hard))


def _impose() -> None:
    _limit_stack(USUAL_STACK)  # who started us may have been under the rules
    os.environ["GRPC_POLL_STRATEGY"] = "poll"
    os.read = read  # type: ignore[assignment]
    fcntl.flock = flock
    socket.socket.bind = lambda self, address, /: (_fits(address), _bind(self, address))[1]  # type: ignore[method-assign]
    socket.socket.connect = lambda self, address, /: (_fits(address), _connect(self, address))[1]  # type: ignore[method-assign]
    selectors.DefaultSelector = selectors.PollSelector  # type: ignore[misc,assignment]
    del selectors.EpollSelector, select.epoll
    subprocess._USE_VFORK = subprocess._USE_POSIX_SPAWN = False  # type: ignore[attr-defined]
    subprocess.Popen = _Popen  # type: ignore[misc]


if "POT_DRIVER_TEST_RULES" in os.environ:
    _impose()
