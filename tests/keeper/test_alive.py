"""Whether a keeper holds its FIFO is told truly, whoever looks and whenever; also under FreeBSD's rules."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pot_driver.keeper.alive import Watch, is_held


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "alive", 0o600)
    return tmp_path / "alive"


@contextmanager
def holder(fifo: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the write end, as a keeper does."""
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    process = subprocess.Popen(["sleep", "600"], stdin=writer)
    os.close(writer)
    os.close(reader)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def test_who_comes_after_the_end_sees_it(fifo: Path) -> None:
    with holder(fifo):
        assert await is_held(fifo)

    assert not await is_held(fifo)
    late = Watch(fifo)
    assert late.over


async def test_a_fifo_that_nobody_ever_held_is_not_held(fifo: Path) -> None:
    assert not await is_held(fifo)
    assert Watch(fifo).over


async def test_all_who_watch_see_the_end(fifo: Path) -> None:
    with holder(fifo) as keeper:
        watches = [Watch(fifo) for _ in range(5)]
        for _ in range(5):
            assert await is_held(fifo)
        assert not any(watch.over for watch in watches)
        keeper.kill()
        for watch in watches:
            await watch.ended()


async def test_another_watcher_that_is_a_writer_for_an_instant_is_no_keeper(fifo: Path) -> None:
    other = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    asyncio.get_running_loop().call_soon(os.close, other)

    assert not await is_held(fifo)


async def test_a_watch_waits_until_the_last_writer_has_gone(fifo: Path) -> None:
    other = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    watch = Watch(fifo)
    assert not watch.over
    os.close(other)
    await watch.ended()


@pytest.mark.parametrize("what", ["nothing", "file", "link", "directory", "no directory"])
async def test_what_is_no_fifo_is_held_by_nobody(tmp_path: Path, what: str) -> None:
    path = tmp_path / "alive"
    match what:
        case "file":
            path.touch()
        case "link":
            os.mkfifo(tmp_path / "other")
            path.symlink_to(tmp_path / "other")
        case "directory":
            path.mkdir()
        case "no directory":
            tmp_path.joinpath("file").touch()
            path = tmp_path / "file/alive"
        case _:
            pass

    assert not await is_held(path)


async def test_too_many_open_files_are_no_end(fifo: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with holder(fifo):
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            with pytest.raises(OSError, match="Too many open files"):
                Watch(fifo)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
