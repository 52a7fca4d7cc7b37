"""Commands in a running pot, as `nomad alloc exec` talks to them: real processes behind a stand-in of `pot exec`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from pot_driver import exec as pot_exec
from pot_driver.model import ExecInput, ExecOutput, ExecSetup, ExitResult

from .running import NAME, SCRIPT, Holders, says, session


def data(outputs: Sequence[ExecOutput], stream: str = "stdout") -> bytes:
    """What came on one stream."""
    return b"".join(output.data for output in outputs if output.stream == stream)


def exit_code(outputs: Sequence[ExecOutput]) -> int | None:
    """The exit code, which must be alone in the last message and there once."""
    exits = [output for output in outputs if output.exit is not None]
    assert exits == [outputs[-1]]
    assert exits == [ExecOutput(exit=exits[0].exit)]
    return exits[0].exit.exit_code if exits[0].exit else None


async def test_the_order_of_answers(pot_host: Any) -> None:
    """Data, both closes, the exit alone and last."""
    outputs = await session(pot_host, "sh", "-c", "echo out; echo err >&2; exit 7")

    assert data(outputs) == b"out\n"
    assert data(outputs, "stderr") == b"err\n"
    assert outputs[-3:] == [
        ExecOutput(stream="stdout", close=True),
        ExecOutput(stream="stderr", close=True),
        ExecOutput(exit=ExitResult(exit_code=7)),
    ]
    assert exit_code(outputs) == 7


async def test_with_a_terminal_all_is_stdout(pot_host: Any) -> None:
    """And only stdout is closed."""
    outputs = await session(pot_host, "sh", "-c", "test -t 0 && echo term; echo err >&2; exit 5", tty=True)

    assert data(outputs) == b"term\r\nerr\r\n"
    assert [output.stream for output in outputs if output.close] == ["stdout"]
    assert exit_code(outputs) == 5


async def test_only_a_terminal_has_a_name(pot_host: Any) -> None:
    """Pot gives commands a clean environment, in which no full-screen program starts."""
    script = "echo ${TERM-none}"

    assert data(await session(pot_host, "sh", "-c", script)) == b"none\n"
    assert data(await session(pot_host, "sh", "-c", script, tty=True)) == b"xterm\r\n"


async def test_a_terminal_is_the_controlling_one(pot_host: Any) -> None:
    """So ^C ends the command, and /dev/tty can be opened."""
    started = asyncio.Event()

    async def interrupt() -> AsyncGenerator[ExecInput, None]:
        await started.wait()
        while True:  # a shell that is just forking may lose one
            yield ExecInput(data=b"\x03")
            await asyncio.sleep(0.05)

    setup = ExecSetup(task_id="t", command=("sh", "-c", "echo ok >/dev/tty; sleep 60"), tty=True)
    outputs = []
    async with (
        asyncio.timeout(20),
        aclosing(pot_exec.stream(pot_host.pot, NAME, setup, interrupt(), script=SCRIPT)) as stream,
    ):
        async for output in stream:
            outputs.append(output)
            started.set()

    assert data(outputs).startswith(b"ok\r\n")
    assert exit_code(outputs) == 130


async def test_input_and_its_end_reach_the_command(pot_host: Any) -> None:
    """Heartbeats and empty messages do nothing; data and close may come together."""
    requests = says(
        ExecInput(), ExecInput(data=b"a" * 500_000), ExecInput(), ExecInput(data=b"b" * 500_000, close=True)
    )

    outputs = await session(pot_host, "wc", "-c", requests=requests)

    assert data(outputs).strip() == b"1000000"
    assert exit_code(outputs) == 0


async def test_a_conversation(pot_host: Any) -> None:
    """Input goes in while output comes out; the session ends with the command though the client goes on."""

    async def talk() -> AsyncGenerator[ExecInput, None]:
        for line in (b"one\n", b"two\n", b"exit\n"):
            yield ExecInput(data=line)
            await answered.get()
        while True:
            yield ExecInput(data=b"anyone there?\n")
            await asyncio.sleep(0.01)

    answered: asyncio.Queue[bytes] = asyncio.Queue()
    script = 'while read -r line; do [ "$line" = exit ] && exit 9; echo "<$line>"; done'
    setup = ExecSetup(task_id="t", command=("sh", "-c", script), tty=False)
    heard = []
    async with (
        asyncio.timeout(20),
        aclosing(pot_exec.stream(pot_host.pot, NAME, setup, talk(), script=SCRIPT)) as stream,
    ):
        async for output in stream:
            heard.append(output)
            if output.data:
                answered.put_nowait(output.data)

    assert data(heard) == b"<one>\n<two>\n"
    assert exit_code(heard) == 9


async def test_every_resize_is_applied(pot_host: Any) -> None:
    """Also those before the first input: the last one counts."""
    sizes = [(50, 40), *((rows, 80) for rows in range(1, 200)), (100, 101)]
    requests = says(*(ExecInput(tty_size=size) for size in sizes), ExecInput(data=b"stty size; exit\n"))

    outputs = await session(pot_host, "sh", tty=True, requests=requests)

    assert b"100 101" in data(outputs)


async def test_binary_output_is_whole_with_a_slow_reader(pot_host: Any) -> None:
    """The command waits, as at a full pipe, and the plugin holds but a few buffers."""
    copy = pot_host.root / "copy"
    setup = ExecSetup(task_id="t", command=("sh", "-c", f"head -c 20000000 /dev/urandom | tee {copy}"), tty=False)
    outputs: list[ExecOutput] = []
    async with (
        asyncio.timeout(60),
        aclosing(pot_exec.stream(pot_host.pot, NAME, setup, says(), script=SCRIPT)) as stream,
    ):
        async for output in stream:
            if not outputs:
                for _ in range(20):
                    await asyncio.sleep(0.01)
                written_while_waiting = copy.stat().st_size
            outputs.append(output)

    assert written_while_waiting < 1_000_000
    assert max(len(output.data) for output in outputs) <= 32 * 1024
    assert data(outputs) == copy.read_bytes()
    assert exit_code(outputs) == 0


@pytest.mark.parametrize("tty", [False, True])
async def test_a_daemon_left_behind_does_not_hold_the_session(pot_host: Any, tty: bool) -> None:
    """It has the pipe or the terminal open; the command itself has ended."""
    outputs = await session(pot_host, "sh", "-c", "trap '' HUP; sleep 60 & echo $!", tty=tty)

    assert exit_code(outputs) == 0
    os.kill(int(data(outputs)), 9)


@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize("way", ["close", "cancel"])
async def test_a_user_who_leaves_ends_the_command(pot_host: Any, holders: Holders, tty: bool, way: str) -> None:
    """With all its children, also those which take no notice of HUP and TERM."""
    stay = "sleep 60; sleep 60"
    script = f"exec 9>{holders.fifo}; echo on >&9; trap '' HUP TERM; ({stay}) & echo; {stay}"
    command = ("sh", "-c", script)
    started = asyncio.Event()

    async def attend() -> None:
        setup = ExecSetup(task_id="t", command=command, tty=tty)
        async with aclosing(pot_exec.stream(pot_host.pot, NAME, setup, says(), script=SCRIPT)) as stream:
            async for _ in stream:
                started.set()
                if way == "close":
                    return

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        attending = group.create_task(attend())
        await started.wait()
        if way == "cancel":
            attending.cancel()
        await holders.gone()


async def test_a_client_that_closes_its_side_has_said_all(pot_host: Any) -> None:
    """Nomad never does; others do, and mean the end of input."""

    async def all_said() -> AsyncGenerator[ExecInput, None]:
        yield ExecInput(data=b"last words")

    outputs = await session(pot_host, "cat", requests=all_said())

    assert data(outputs) == b"last words"
    assert exit_code(outputs) == 0


async def test_a_broken_client_is_not_an_error_of_the_command(pot_host: Any) -> None:
    """The stream is cancelled by other means."""

    async def broken() -> AsyncGenerator[ExecInput, None]:
        yield ExecInput(data=b"x")
        raise ConnectionError

    outputs = await session(pot_host, "sh", "-c", "echo on; exit 4", requests=broken())

    assert exit_code(outputs) == 4


async def test_who_prints_what_pot_prints_is_not_pot(pot_host: Any) -> None:
    """The words alone, with 1, are pot's; with more, or with another code, they are the command's."""
    words = "echo '###>  The pot is not running'"

    zero = await session(pot_host, "sh", "-c", words)
    more = await session(pot_host, "sh", "-c", f"{words}; sleep 0.1; echo more; exit 1")

    assert data(zero) == b"###>  The pot is not running\n"
    assert exit_code(zero) == 0
    assert data(more) == b"###>  The pot is not running\nmore\n"
    assert exit_code(more) == 1


async def test_sessions_are_independent(pot_host: Any) -> None:
    """Twenty at once, each with its own answer."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(session(pot_host, "sh", "-c", f"echo {number}; exit {number}", tty=number % 2 == 0))
            for number in range(20)
        ]

    assert [exit_code(task.result()) for task in tasks] == list(range(20))
    assert [int(data(task.result())) for task in tasks] == list(range(20))


async def test_nothing_of_a_session_stays_open(pot_host: Any) -> None:
    """Fifty sessions leave as many descriptors as there were."""
    await session(pot_host, "true")
    await session(pot_host, "true", tty=True)
    before = open_descriptors()

    for number in range(24):
        await session(pot_host, "true", tty=number % 2 == 0)
    await asyncio.sleep(0)

    assert open_descriptors() <= before


def open_descriptors() -> int:
    """How many this process has."""
    return len(list(Path("/dev/fd").iterdir()))
