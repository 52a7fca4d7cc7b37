"""The `alive` FIFO: the keeper holds its write end, and end-of-file means that the keeper is gone.

What a reader of a FIFO sees without a writer differs: Linux says end-of-file at any time, FreeBSD only to a reader that
was there when a writer left, and otherwise the same as with a living writer, for ever. A reader that has itself been a
writer for a moment has seen one leave, so from then on both systems tell the truth. Nobody may look in another way.

Not here: who holds the write end (see `launch`), what an end means (see `exits`).
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from pathlib import Path

INSTANT_S = 0.05  # longer than any watcher is a writer
_A_LINK = {errno.ELOOP, errno.EMLINK}  # Linux's word for it, and FreeBSD's


def open_reader(path: Path) -> int:
    """A descriptor that reads end-of-file when, and only when, nobody has the FIFO open for writing.

    FileNotFoundError where the FIFO is not there; what is no FIFO counts as not there.
    """
    try:
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _A_LINK:
            raise FileNotFoundError(f"{path} is no FIFO") from error
        raise
    if not stat.S_ISFIFO(os.fstat(reader).st_mode):
        os.close(reader)
        raise FileNotFoundError(f"{path} is no FIFO")
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC))
    except BaseException:
        os.close(reader)
        raise
    return reader


def has_writer(reader: int) -> bool:
    """Whether somebody has the FIFO of `open_reader` open for writing; what was written is thrown away."""
    try:
        while os.read(reader, 512):
            pass
    except BlockingIOError:
        return True
    return False


class Watch:
    """Tells when the keeper that holds this FIFO is gone; a FIFO that is not there is held by nobody.

    OSError where that cannot be told: too many open files say nothing of the keeper.
    """

    def __init__(self, path: Path) -> None:
        self._over = asyncio.Event()
        self._reader = -1
        try:
            self._reader = open_reader(path)
        except (FileNotFoundError, NotADirectoryError):
            self._over.set()
            return
        # Watched first: the last writer may leave between a look and the beginning of the watch.
        asyncio.get_running_loop().add_reader(self._reader, self._look)
        self._look()

    @property
    def over(self) -> bool:
        """Whether the keeper is gone."""
        return self._over.is_set()

    async def ended(self) -> None:
        """Wait until the keeper is gone."""
        await self._over.wait()

    def close(self) -> None:
        """Stop watching."""
        if self._reader >= 0:
            asyncio.get_running_loop().remove_reader(self._reader)
            os.close(self._reader)
            self._reader = -1

    def _look(self) -> None:
        if not has_writer(self._reader):
            self._over.set()
            self.close()


async def is_held(path: Path) -> bool:
    """Whether a keeper holds this FIFO.

    Another watcher is a writer for an instant while it opens the FIFO: only what lasts is a keeper.
    """
    watch = Watch(path)
    try:
        async with asyncio.timeout(INSTANT_S):
            await watch.ended()
    except TimeoutError:
        return True
    finally:
        watch.close()
    return False
