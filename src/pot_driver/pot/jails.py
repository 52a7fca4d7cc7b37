"""The jails of this host and their processes: `jls` and `ps` ask the kernel, kill(2) reaches into a jail.

`pot signal` is not used: on FreeBSD 12 it refuses every name, and elsewhere it costs half a second.

Not here: pot's own states (see `parse`), what is signalled when (see `driver.stop`).
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

from pot_driver.errors import PotFailed
from pot_driver.process import Completed, Processes

_GONE = ("not found", "is dying")  # the kernel's words for a name that no living jail has
KILL_LOOKS = 100
KILL_LOOK_S = 0.05


class Jails:
    """Asks for jails. `timeout_s` bounds each question."""

    def __init__(self, processes: Processes, timeout_s: float) -> None:
        self._processes = processes
        self._timeout_s = timeout_s

    async def jid(self, name: str) -> int | None:
        """The number of the jail, None when it has no processes: a dying one has only sockets that still close.

        Raises PotFailed where jls does not tell.
        """
        completed = await self._run("jls", "-j", name, "jid")
        words = _said(completed)
        if completed.status == 0 and completed.stdout.strip().isdigit():
            return int(completed.stdout)
        if completed.status == 1 and words.endswith(_GONE):
            return None
        raise PotFailed(f"cannot tell whether jail {name} lives: jls ended with {completed.status}: {words}")

    async def exists(self, name: str) -> bool:
        """Whether the jail has processes."""
        return await self.jid(name) is not None

    async def names(self) -> frozenset[str]:
        """The names of all jails that have processes."""
        completed = await self._run("jls", "name")
        if completed.status != 0:
            raise PotFailed(f"cannot tell which jails live: jls ended with {completed.status}: {_said(completed)}")
        return frozenset(completed.stdout.decode(errors="replace").split())

    async def signal(self, name: str, pid: int, number: int) -> bool:
        """Send signal `number` of this kernel to a process of the jail; False when it is none (any more)."""
        jid = await self.jid(name)
        if jid is None:
            return False
        of_process = await self._run("ps", "-o", "jid=", "-p", str(pid))
        if of_process.status != 0 or of_process.stdout.strip() != str(jid).encode():
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, number)
            return True
        return False

    async def kill_all(self, name: str, number: int) -> None:
        """Send signal `number` to all processes of the jail, again until none is left or it helps no more."""
        for _ in range(KILL_LOOKS):
            pids = await self.pids(name)
            if not pids:
                return
            for pid in pids:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
            await asyncio.sleep(KILL_LOOK_S)

    async def pids(self, name: str) -> list[int]:
        """The processes of the jail; none where it is gone."""
        jid = await self.jid(name)
        if jid is None:
            return []
        listed = await self._run("ps", "-ax", "-o", "jid=", "-o", "pid=")
        lines = [line.split() for line in listed.stdout.decode(errors="replace").splitlines()]
        return [int(words[1]) for words in lines if len(words) == 2 and words[0] == str(jid) and words[1].isdigit()]  # noqa: PLR2004

    async def _run(self, *argv: str) -> Completed:
        return await self._processes.run(argv, timeout_s=self._timeout_s)


def _said(completed: Completed) -> str:
    return completed.stderr.decode(errors="replace").strip()
