"""Commands inside a running pot: script checks, `nomad alloc exec` with and without a terminal.

They run through the task's own `exec.sh`, so they see the task's environment and no value of it is on argv.
Pots without that script (taken over from the Go driver) get the bare command.

Not here: which task a command is for, the wire's limits on output, how long a pot lives.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from pot_driver.errors import ConfigError, WrongState
from pot_driver.model import ExecInput, ExecOutput, ExecResult, ExecSetup, ExitResult
from pot_driver.pot.command import exec_command

if TYPE_CHECKING:
    from pot_driver.pot.cli import Pot
    from pot_driver.process import Child

OUTPUT_LIMIT = 64 * 1024  # of each stream of a command that is not streamed; Nomad uses 4 KiB
TERMINAL = (24, 80)  # until the client tells its size
DRAIN_S = 0.5  # silence after a command's end: who still holds its output is a daemon it left behind
END_GRACE_S = 1.0  # from HUP and TERM to KILL when the user has left, or the time is over
SIGNALLED = 128
_REFUSAL = b"###>  The pot is not running"
_NO_JAIL = re.compile(rb'jexec: jail "[^"]*" (?:not found|is dying)')  # it ended after pot's own look

log = structlog.get_logger()


async def run(pot: Pot, pot_name: str, command: Sequence[str], timeout_s: float, *, script: str | None) -> ExecResult:
    """Run a command to its end, 0 = without a time limit. On TimedOut it is dead, with all its children.

    `script`: what runs commands as the task does, as the pot sees it.
    """
    done = await pot.processes.run(
        (pot.executable, *_argv(pot_name, command, script=script)),
        timeout_s=timeout_s or math.inf,
        limit_bytes=OUTPUT_LIMIT,
        grace_s=END_GRACE_S,
    )
    if done.status == 1 and (_is_refusal(done.stdout) or _NO_JAIL.fullmatch(done.stderr.strip())):
        raise _not_running(pot_name)
    return ExecResult(stdout=done.stdout, stderr=done.stderr, exit_code=_exit_code(done.status))


async def stream(
    pot: Pot,
    pot_name: str,
    setup: ExecSetup,
    requests: AsyncIterator[ExecInput],
    *,
    script: str | None,
) -> AsyncGenerator[ExecOutput, None]:
    """Run a command whose user is there: output as it comes, closes, and the exit, alone and last.

    Closing the generator (the user left) ends the command and all that it started. Use `contextlib.aclosing`.
    """
    words = (pot.executable, *_argv(pot_name, setup.command, script=script, tty=setup.tty))
    child = await pot.processes.open(words, tty=TERMINAL if setup.tty else None)
    session = _Session(child, tty=setup.tty)
    left = False
    async with asyncio.TaskGroup() as tasks:
        talking = tasks.create_task(session.listen(requests))
        working = tasks.create_task(session.work())
        try:
            while (output := await session.outputs.get()) is not None:
                yield output
        except GeneratorExit:  # in a TaskGroup it would come out as an ExceptionGroup
            left = True
        finally:
            talking.cancel()
            working.cancel()
            if not session.ended:
                await child.kill_group(END_GRACE_S)
            child.close()
    if not left and session.failure is not None:
        raise session.failure
    if not left and session.refused:
        raise _not_running(pot_name)


@dataclass(slots=True)
class _Session:
    """One command and its user. The methods are the bodies of tasks: they end without exceptions."""

    child: Child
    tty: bool
    # One at a time: a slow user slows the command down, as a full pipe does.
    outputs: asyncio.Queue[ExecOutput | None] = field(default_factory=lambda: asyncio.Queue(1))
    ended: bool = False
    refused: bool = False
    failure: Exception | None = None
    _held: bytes = b""
    _reads: int = 0
    _sending: int = 0

    async def listen(self, requests: AsyncIterator[ExecInput]) -> None:
        """Do what the user's messages say; an empty one is a heartbeat. Nomad never ends them, others may."""
        try:
            async for request in requests:
                if request.tty_size is not None:
                    self.child.resize(*request.tty_size)
                if request.data:
                    await self.child.write(request.data)
                if request.close:
                    self.child.close_stdin()
            self.child.close_stdin()
        except Exception as error:  # noqa: BLE001 - a broken connection: the other direction will notice
            log.debug("exec input ended", error=repr(error))

    async def work(self) -> None:
        """Forward output until the command has ended and nothing more comes, then tell the exit."""
        try:
            status = await self._forward()
            self.ended = True
            if status == 1 and self._held:
                self.refused = True
            else:
                await self._flush()
                await self._finish(status)
        except Exception as error:  # noqa: BLE001 - raised again by `stream`
            self.failure = error
        await self.outputs.put(None)

    async def _forward(self) -> int:
        async with asyncio.TaskGroup() as group:
            pumps = {group.create_task(self._pump(self.child.read_stdout, "stdout"))}
            if not self.tty:
                pumps.add(group.create_task(self._pump(self.child.read_stderr, "stderr")))
            status = await self.child.wait()
            while pumps:
                reads = self._reads
                _, pumps = await asyncio.wait(pumps, timeout=DRAIN_S)
                if self._reads == reads and not self._sending:
                    for pump in pumps:
                        pump.cancel()
        return status

    async def _pump(self, read: Callable[[], Awaitable[bytes]], name: str) -> None:
        while data := await read():
            self._reads += 1
            self._sending += 1
            if name == "stdout" and self._reads == 1 and _is_refusal(data):
                self._held = data
            else:
                await self._flush()
                await self.outputs.put(ExecOutput(stream=name, data=data))
            self._sending -= 1

    async def _flush(self) -> None:
        """A command may say what pot says; it was not pot when more follows or it ends otherwise."""
        if held := self._held:
            self._held = b""
            await self.outputs.put(ExecOutput(stream="stdout", data=held))

    async def _finish(self, status: int) -> None:
        await self.outputs.put(ExecOutput(stream="stdout", close=True))
        if not self.tty:
            await self.outputs.put(ExecOutput(stream="stderr", close=True))
        await self.outputs.put(ExecOutput(exit=ExitResult(exit_code=_exit_code(status))))


def _argv(pot_name: str, command: Sequence[str], *, script: str | None, tty: bool = False) -> tuple[str, ...]:
    if not command or not command[0]:
        raise ConfigError(["the command to execute is empty"])
    if any("\0" in word for word in command):
        raise ConfigError(["the command to execute contains a NUL character"])
    through = ("/bin/sh", script) if script else ()
    return exec_command(pot_name, (*through, *command), terminal=tty).argv


def _is_refusal(output: bytes) -> bool:
    return output.rstrip(b"\r\n") == _REFUSAL


def _not_running(pot_name: str) -> WrongState:
    return WrongState(f"cannot execute a command in {pot_name}: the pot is not running")


def _exit_code(status: int) -> int:
    return status if status >= 0 else SIGNALLED - status
