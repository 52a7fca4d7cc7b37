"""What Nomad's logmon does: read a task's log FIFO until its last writer is gone.

Not here: making the FIFO (see `allocation`), showing what was read (see `console`).
"""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_CHUNK = 64 * 1024


class LogPipe:
    """Reads one FIFO in a thread, because opening it blocks until there is a writer."""

    def __init__(self, path: Path, sink: Callable[[bytes], None]) -> None:
        self._path = path
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._opened = asyncio.Event()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._read, name=f"log {path.name}", daemon=True)
        if stat.S_ISFIFO(path.stat().st_mode):
            self._thread.start()
        else:
            self._ended.set()  # /dev/null: the job wants no logs

    async def ended(self) -> None:
        """Return when the last writer has gone and all it wrote was handed on."""
        await self._ended.wait()

    async def close(self, grace_s: float) -> bool:
        """Wait for the end for a while, then give up on the writers. True: they were gone in time."""
        try:
            async with asyncio.timeout(grace_s):
                await self._ended.wait()
        except TimeoutError:
            # A writer that comes and goes frees a reader that never got one.
            writer = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)
            await self._opened.wait()
            os.close(writer)
            return False
        return True

    def _read(self) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            with suppress(FileNotFoundError), self._path.open("rb", buffering=0) as fifo:  # gone with its allocation
                self._loop.call_soon_threadsafe(self._opened.set)
                while data := os.read(fifo.fileno(), _CHUNK):
                    self._loop.call_soon_threadsafe(self._sink, data)
            self._loop.call_soon_threadsafe(self._ended.set)
