"""FreeBSD's rules, under which `scripts/test --freebsd` runs, are what that kernel does; each row is measured there."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(platform.system() == "FreeBSD", reason="the kernel itself has these rules")
RULES = Path(__file__).parents[1] / "freebsd_rules"
FIFO = """
import os
def look(reader):
    try:
        return os.read(reader, 1)
    except BlockingIOError:
        return "EAGAIN"
def read_end():
    return os.open("fifo", os.O_RDONLY | os.O_NONBLOCK)
def write_end():
    return os.open("fifo", os.O_WRONLY | os.O_NONBLOCK)
os.mkfifo("fifo")
"""


def under_the_rules(tmp_path: Path, program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "POT_DRIVER_TEST_RULES": "freebsd", "PYTHONPATH": str(RULES)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_reader_sees_the_end_only_of_a_writer_that_leaves_while_it_is_there(tmp_path: Path) -> None:
    assert under_the_rules(
        tmp_path,
        FIFO
        + """
first = read_end()
print("nobody ever wrote:", look(first))
writer = write_end()
print("a writer is there:", look(first))
second = read_end()
os.close(writer)
late = read_end()
print("it left:", look(first), look(second), "- before this reader came:", look(late))
os.close(write_end())
print("the reader was a writer:", look(late))
other, mine = write_end(), write_end()
os.close(mine)
print("so it was, and another one lives:", look(late))
""",
    ).splitlines() == [
        "nobody ever wrote: EAGAIN",
        "a writer is there: EAGAIN",
        "it left: b'' b'' - before this reader came: EAGAIN",
        "the reader was a writer: b''",
        "so it was, and another one lives: EAGAIN",
    ]


def test_no_event_loop_has_epoll_and_children_are_forked(tmp_path: Path) -> None:
    assert (
        under_the_rules(
            tmp_path,
            """
import asyncio, os, select, subprocess
loop = asyncio.new_event_loop()
print(type(loop._selector).__name__, hasattr(select, "epoll"), os.environ["GRPC_POLL_STRATEGY"])
print(subprocess._USE_VFORK, subprocess._USE_POSIX_SPAWN)
loop.close()
""",
        )
        == "PollSelector False poll\nFalse False\n"
    )


def test_paths_of_sockets_and_arguments_have_freebsds_limits(tmp_path: Path) -> None:
    assert under_the_rules(
        tmp_path,
        """
import socket, subprocess
for length in (103, 104):
    try:
        socket.socket(socket.AF_UNIX).connect("x" * length)
    except FileNotFoundError:
        print(length, "fits")
    except OSError as error:
        print(length, error)
for kilobytes in (200, 260):
    words = ["x" * 1023] * kilobytes
    try:
        subprocess.run(["/bin/sh", "-c", ":", *words], env={}, check=True)
        print(kilobytes, "fits")
    except OSError as error:
        print(kilobytes, error.strerror)
export = "A=$(printf %0100000d 0) B=$A C=$A; export A B C;"
print(subprocess.run(["/bin/sh", "-c", export + "/bin/true"], stderr=subprocess.DEVNULL).returncode)
""",
    ).splitlines() == ["103 fits", "104 AF_UNIX path too long", "200 fits", "260 Argument list too long", "126"]
