"""A running pot, as `pot exec` shows it: sessions with it, and processes in it whose end a test waits for.

Not here: fixtures (see `conftest`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

from pot_driver import exec as pot_exec
from pot_driver.model import ExecInput, ExecOutput, ExecSetup

NAME = "web_0a1b2c3d_alloc"
SCRIPT = "/.pot-driver/exec.sh"

# As pot: one line on stdout and 1 when it does not run; else a child of this shell, through env.
POT = """
[ "$1 $2" = "exec -p" ] || exit 64
[ -e "$ROOT/running/$3" ] || { echo '###>  The pot is not running'; exit 1; }
shift 3
[ "$1" = -e ] && { export "$2"; shift 2; }
shift
if [ "$1 $2" = "/bin/sh /.pot-driver/exec.sh" ]; then
    shift 2
    export WHOSE="the task's"
fi
env "$@"
exit $?
"""


async def says(*inputs: ExecInput) -> AsyncGenerator[ExecInput, None]:
    """A client that says this and then, as Nomad, neither more nor goodbye."""
    for each in inputs:
        yield each
    await asyncio.Event().wait()


async def session(
    pot_host: Any, *command: str, tty: bool = False, requests: AsyncIterator[ExecInput] | None = None
) -> list[ExecOutput]:
    """All that an exec stream answers."""
    setup = ExecSetup(task_id="t", command=command, tty=tty)
    stream = pot_exec.stream(pot_host.pot, NAME, setup, requests or says(), script=SCRIPT)
    async with asyncio.timeout(30), aclosing(stream):
        return [output async for output in stream]


class Holders:
    """Knows when the last of the processes is gone which said something into a FIFO and hold it open."""

    def __init__(self, directory: Path) -> None:
        self.fifo = directory / "held"
        os.mkfifo(self.fifo)
        self._read = os.open(self.fifo, os.O_RDONLY | os.O_NONBLOCK)

    def close(self) -> None:
        """Let go of the reading end."""
        os.close(self._read)

    async def gone(self) -> None:
        """Poll: without data, a FIFO that is held gives an error, and one that is not its end."""
        said = False
        while True:
            try:
                if os.read(self._read, 4096):
                    said = True
                elif said:
                    return
            except BlockingIOError:
                pass
            await asyncio.sleep(0.02)
