"""One pot command of a start, run as carefully as it needs.

Not here: which commands, in which order (see `plan`), and what they must have done (see `start`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from pot_driver.driver.host import Host
from pot_driver.errors import TryAgain
from pot_driver.pot.command import PotStep
from pot_driver.process import Completed

log = structlog.get_logger()

Tell = Callable[[str], None]  # a task event

SLOW_S = 5.0  # after which a step that waits for pot's lock is told
LAST_MOMENT_S = 5.0  # for a command when the start is given up
SET_HOSTS_TRIES = 5
SET_HOSTS_PAUSE_S = 0.5


async def run(host: Host, step: PotStep, tell: Tell) -> Completed:
    """Run it; who waits long for pot's lock is told."""
    if step.verb == "set-hosts":
        return await _set_hosts(host, step)
    slow = asyncio.get_running_loop().call_later(
        SLOW_S, tell, f"Still at pot {step.verb}: at work, or waiting for that of another pot"
    )
    if not step.locked:
        slow.cancel()
    try:
        return await host.pot.run(step)
    finally:
        slow.cancel()


async def not_cut(work: Coroutine[Any, Any, Completed]) -> Completed:
    """When the start is given up, a command has a moment to end by itself.

    Cut in the middle, mount-in and copy-in leave mounts that no other command of pot undoes, and set-hosts a file that
    is in everybody's way.
    """
    async with asyncio.TaskGroup() as group:
        running = group.create_task(_outcome(work))
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError:
            await asyncio.wait([running], timeout=LAST_MOMENT_S)
            raise
    outcome = running.result()
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


async def _outcome(work: Coroutine[Any, Any, Completed]) -> Completed | Exception:
    try:
        return await work
    except Exception as error:  # noqa: BLE001 - raised again by who waits
        return error


async def _set_hosts(host: Host, step: PotStep) -> Completed:
    """One at a time on the host: also another agent's driver or an administrator may be at it."""
    async with host.set_hosts:
        file = (await host.paths()).set_hosts
        first = _identity(file)
        for _ in range(SET_HOSTS_TRIES - 1):
            with suppress(TryAgain):
                return await host.pot.run(step)
            await asyncio.sleep(SET_HOSTS_PAUSE_S)
        if first is not None and first == _identity(file):
            log.warning("a pot set-hosts that was killed left its file, it is removed", file=str(file))
            file.unlink(missing_ok=True)
        return await host.pot.run(step)


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.lstat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
