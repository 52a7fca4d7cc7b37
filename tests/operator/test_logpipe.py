"""A log FIFO is read as Nomad's logmon reads it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path

from pot_driver.operator.logpipe import LogPipe


def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    os.mkfifo(path, 0o600)
    return path


async def test_all_is_read_until_the_last_writer_is_gone(tmp_path: Path) -> None:
    path, got = fifo(tmp_path), bytearray()
    pipe = LogPipe(path, got.extend)
    writer = await asyncio.to_thread(os.open, path, os.O_WRONLY)
    data = os.urandom(200_000)

    await asyncio.to_thread(os.writev, writer, [data])
    os.close(writer)
    await pipe.ended()

    assert bytes(got) == data


async def test_a_reader_that_never_got_a_writer_can_be_closed(tmp_path: Path) -> None:
    pipe = LogPipe(fifo(tmp_path), lambda _: None)

    assert not await pipe.close(0)
    await pipe.ended()


async def test_a_task_without_logs_has_nothing_to_wait_for() -> None:
    assert await LogPipe(Path(os.devnull), lambda _: None).close(0)


async def test_a_log_that_is_removed_before_anybody_wrote_has_ended(tmp_path: Path) -> None:
    path = fifo(tmp_path)
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    pipe = LogPipe(path, lambda _: None)
    path.unlink()
    (reader,) = [thread for thread in threading.enumerate() if thread.name == f"log {path.name}"]
    while reader.is_alive():  # its open is interrupted, and looks for the file once more
        signal.pthread_kill(reader.ident or 0, signal.SIGUSR1)
        await asyncio.sleep(0.01)
    await pipe.ended()
    signal.signal(signal.SIGUSR1, before)
