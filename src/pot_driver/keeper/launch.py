"""Start a keeper, know whether one lives, end one.

Not here: why it ended (see `record`), what follows (see `driver`).
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from importlib.resources import files

from pot_driver.errors import PotFailed
from pot_driver.keeper import alive, logs
from pot_driver.keeper.home import Home
from pot_driver.process import Processes

KILL_LOOKS = 5
KILL_LOOK_S = 0.5

_TEXT = files("pot_driver.keeper").joinpath("keeper.sh").read_text()


async def launch(
    processes: Processes,
    home: Home,
    *,
    pot: str,
    pot_name: str,
    last_run_stats: str,
    stdout_path: str,
    stderr_path: str,
    timeout_s: float,
) -> None:
    """Start the pot under a keeper of its own and return when the keeper holds `alive`."""
    home.keeper.write_text(_TEXT)
    argv = ("sh", str(home.keeper), processes.find(pot), pot_name, last_run_stats)
    with logs.opened(stdout_path, stderr_path) as (out, err):
        # A FIFO opens for writing only while someone reads it.
        reading = os.open(home.alive, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            writing = os.open(home.alive, os.O_WRONLY | os.O_CLOEXEC)
            try:
                status = await processes.detach(argv, stdin=writing, stdout=out, stderr=err, timeout_s=timeout_s)
            finally:
                os.close(writing)
        finally:
            os.close(reading)
    if status != 0:
        raise PotFailed(f"cannot keep pot {pot_name}: sh ended with {status}: {home.start_log().strip()}")


async def lives(home: Home) -> bool:
    """Whether a keeper lives."""
    return await alive.is_held(home.alive)


async def works(processes: Processes, home: Home, pot_name: str, *, timeout_s: float) -> bool:
    """Whether `pot start` goes on: under its keeper, or alone, where the keeper was killed."""
    if await lives(home):
        return True
    group = home.group()
    if group is None or home.exit_record() is not None:
        return False
    listed = await processes.run(("ps", "-ax", "-ww", "-o", "pgid=", "-o", "command="), timeout_s=timeout_s)
    lines = listed.stdout.decode(errors="replace").splitlines()
    return any(line.split()[:1] == [str(group)] and line.endswith(f" start -p {pot_name}") for line in lines)


async def kill(processes: Processes, home: Home, pot_name: str, *, timeout_s: float) -> None:
    """End `pot start` with its keeper, and with the app if that still runs: they are one process group.

    Not the way to end a task: pot cleans up nothing then. The group's id cannot mean anybody else: it stays taken for
    as long as one of them lives.
    """
    for signum in (signal.SIGTERM, signal.SIGKILL):
        for _ in range(KILL_LOOKS):
            working = await works(processes, home, pot_name, timeout_s=timeout_s)
            group = home.group()
            if not working or group is None:
                return
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signum)
            await asyncio.sleep(KILL_LOOK_S)
