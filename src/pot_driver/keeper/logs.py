"""The descriptors that a task's app writes to: Nomad's log FIFOs.

Not here: what is written; the plugin never reads or writes a task's output.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from pot_driver.errors import PotFailed


@contextmanager
def opened(stdout_path: str, stderr_path: str) -> Iterator[tuple[int, int]]:
    """Both log descriptors, closed at the end of the block: by then the keeper has its own."""
    out = _open(stdout_path)
    try:
        err = _open(stderr_path)
    except BaseException:
        os.close(out)
        raise
    try:
        yield out, err
    finally:
        os.close(out)
        os.close(err)


def _open(path: str) -> int:
    """A descriptor for one log; an empty path (a harness without logs) and /dev/null discard.

    Read-write, so that the open neither waits for Nomad's log collector nor fails before it is there, and so that
    a collector that dies cannot kill the app by SIGPIPE: its output waits in the FIFO for the next one.

    A task that sees its alloc directory may put a symlink or file of its own in the place of the FIFO or of the
    directory of logs, so no link is followed and nothing but a FIFO is accepted.
    """
    if path in ("", "/dev/null"):
        return os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
    directory, name = os.path.split(path)
    try:
        parent = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            flags = os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(name, flags, dir_fd=parent)
        finally:
            os.close(parent)
    except OSError as error:
        raise PotFailed(f"cannot open the task's log {path}: {error.strerror}") from error
    if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise PotFailed(f"cannot open the task's log {path}: it is not the FIFO that Nomad makes")
    os.set_blocking(descriptor, True)
    return descriptor
