"""Commands in a running pot, as script checks have them run: real processes behind a stand-in of `pot exec`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pot_driver import exec as pot_exec
from pot_driver.errors import ConfigError, TimedOut, WrongState
from pot_driver.model import ExecResult

from .running import NAME, SCRIPT, Holders, session


async def run(pot_host: Any, *command: str, timeout_s: float = 20.0, script: str | None = SCRIPT) -> ExecResult:
    """Run a command."""
    return await pot_exec.run(pot_host.pot, NAME, command, timeout_s, script=script)


async def test_a_command_sees_the_tasks_environment(pot_host: Any) -> None:
    """It runs through the task's script, with nothing of the environment on argv."""
    result = await run(pot_host, "sh", "-c", "echo $WHOSE; echo no >&2; exit 3")

    assert result == ExecResult(stdout=b"the task's\n", stderr=b"no\n", exit_code=3)
    words = f"exec -p {NAME} -- /bin/sh /.pot-driver/exec.sh sh -c echo $WHOSE; echo no >&2; exit 3"
    assert pot_host.calls() == [f"pot {words}"]


async def test_a_pot_without_the_script_gets_the_bare_command(pot_host: Any) -> None:
    """Tasks of the Go driver have none."""
    result = await run(pot_host, "sh", "-c", "echo ${WHOSE-nobody}", script=None)

    assert result.stdout == b"nobody\n"


async def test_arguments_arrive_as_they_are(pot_host: Any) -> None:
    """No shell reads them on the way."""
    odd = ["", " a  b ", "$(id)", "`id`", "'", '"', "\\", "new\nline", "*", "-p", "ü"]

    result = await run(pot_host, "printf", "<%s>", *odd)

    assert result.stdout.decode() == "".join(f"<{word}>" for word in odd)


@pytest.mark.parametrize(
    ("command", "code"),
    [("exit 0", 0), ("exit 255", 255), ("kill -9 $$", 137), ("nosuchcommand", 127), ("/etc/passwd", 126)],
)
async def test_exit_codes_are_the_commands(pot_host: Any, command: str, code: int) -> None:
    """A death by signal N is 128+N."""
    assert (await run(pot_host, "sh", "-c", command)).exit_code == code


async def test_a_timed_out_command_is_dead_with_its_children(pot_host: Any, holders: Holders) -> None:
    """Nomad gives up waiting but does not cancel: the driver must end it."""
    script = f"exec >{holders.fifo}; echo on; sleep 60 & sleep 60"
    async with asyncio.timeout(20):
        with pytest.raises(TimedOut, match=r"took longer than 0\.3 s"):
            await run(pot_host, "sh", "-c", script, timeout_s=0.3)
        await holders.gone()


async def test_zero_is_no_time_limit(pot_host: Any) -> None:
    """As Nomad means it."""
    assert (await run(pot_host, "sh", "-c", "sleep 0.2; echo done", timeout_s=0)).stdout == b"done\n"


async def test_output_of_a_flood_is_bounded(pot_host: Any) -> None:
    """A check may print what it likes; the plugin keeps the beginning."""
    result = await run(pot_host, "sh", "-c", "head -c 5000000 /dev/zero; head -c 5000000 /dev/zero >&2")

    assert len(result.stdout) == len(result.stderr) == pot_exec.OUTPUT_LIMIT
    assert result.exit_code == 0


async def test_a_stopped_pot_is_not_the_commands_failure(pot_host: Any) -> None:
    """Pot says so on stdout with 1, as any command may end."""
    (pot_host.root / "running" / NAME).unlink()

    with pytest.raises(WrongState, match="pot is not running"):
        await run(pot_host, "true")
    with pytest.raises(WrongState, match="pot is not running"):
        await session(pot_host, "true")
    with pytest.raises(WrongState, match="pot is not running"):
        await session(pot_host, "true", tty=True)


@pytest.mark.parametrize("command", [(), ("",), ("echo", "a\0b")])
async def test_a_command_that_cannot_be_is_refused(pot_host: Any, command: tuple[str, ...]) -> None:
    """Before anything is run."""
    with pytest.raises(ConfigError, match="the command to execute"):
        await run(pot_host, *command)
    with pytest.raises(ConfigError, match="the command to execute"):
        await session(pot_host, *command)
    assert pot_host.calls() == []


@pytest.mark.parametrize("words", ["not found", "is dying"])
async def test_a_pot_that_ends_while_pot_looks_is_not_running(host: Any, words: str) -> None:
    """pot has seen it, jexec has not."""
    host.script("pot", f"""echo 'jexec: jail "{NAME}" {words}' >&2; exit 1""")
    with pytest.raises(WrongState, match="the pot is not running"):
        await run(host, "true")
