"""A log FIFO is read as Nomad's logmon reads it."""

from __future__ import annotations

import asyncio
import os
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
