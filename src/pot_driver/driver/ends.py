"""How the end of a pot is learned: the same for a task that was just started and for one that was recovered.

A living keeper is watched. Where the keeper is gone without having seen the end (it or `pot start` was killed, or the
task was started by the Go driver), the jail itself is asked until it is gone.

Not here: what to do about it.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from enum import Enum

import structlog

from pot_driver import exits, files
from pot_driver.clock import Clock
from pot_driver.driver.host import Host
from pot_driver.errors import DriverError
from pot_driver.keeper import launch as keeper
from pot_driver.keeper.alive import Watch
from pot_driver.keeper.home import Home
from pot_driver.model import ExitResult, TaskRecord
from pot_driver.pot import parse
from pot_driver.pot.parse import Level
from pot_driver.tasks import Task

log = structlog.get_logger()

JAIL_POLL_S = 1.0  # only where no keeper can be watched
LATE_CODE_S = 10.0  # an orphaned `pot start` writes the exit code some seconds after the jail is gone
WORDS = 6  # lines of start.log that an error quotes
# Lines that are no trouble: pot's last one where the app ended non-zero, pf's state, the names of interfaces, routes,
# and that ports are not forwarded on localhost (the fingerprint's attribute ncat).
_HARMLESS = re.compile(
    r"=|.*reported application error$|(pfctl: )?pf (already )?enabled$|p4[0-9a-f]+:$|add net default: gateway "
    r"|nmap package is missing"
)


class Fate(Enum):
    """What is found of a task by a plugin process that does not know it yet."""

    KEPT = "kept"  # a keeper watches it
    ORPHANED = "orphaned"  # the jail lives, and no keeper
    ENDED = "ended"  # it ran, and how it ended is known
    LOST = "lost"  # nothing that could be gone on with


async def fate(host: Host, record: TaskRecord) -> Fate:
    """Look for a task's pot."""
    home = host.homes.of(record.pot_name)
    if await keeper.lives(home):
        return Fate.KEPT
    if _saw_the_end(home):
        return Fate.ENDED
    if await host.jails.exists(record.pot_name):
        return Fate.ORPHANED
    known = home.exit_record() is not None or await exit_code(host, record.pot_name) is not None
    return Fate.ENDED if known else Fate.LOST


async def result(host: Host, task: Task, clock: Clock) -> tuple[ExitResult, float]:
    """Wait for the end; how it ended, and when."""
    home = host.homes.of(task.pot_name)
    watch = Watch(home.alive)
    try:
        await watch.ended()
    finally:
        watch.close()
    code = None
    if not _saw_the_end(home):
        await _jail_gone(host, task.pot_name)
        code = await _late_exit_code(host, task.pot_name)
    return now_known(host, task, code), home.ended_at_s() or clock.now_s()


def now_known(host: Host, task: Task, code: int | None) -> ExitResult:
    """The result as far as it is known now; `code` from last-run-stats, if asked."""
    home = host.homes.of(task.pot_name)
    return exits.result(
        home.exit_record(),
        exit_code=code,
        stopped_by_us=task.stop_wanted or home.stop_wanted,
        words=words(home),
    )


def words(home: Home) -> str:
    """What pot and the host's tools said of trouble while the pot ran."""
    lines = (line.strip().removeprefix("###>").strip() for line in home.start_log().splitlines())
    trouble = [line for line in lines if line and not _HARMLESS.match(line)]
    return "; ".join(dict.fromkeys(trouble[-WORDS:]))


def complaints(home: Home) -> str:
    """What pot itself said that it could not do, or ignores; it starts the app nevertheless, say without its ports."""
    said = parse.messages(home.start_log().encode())
    trouble = (line.text for line in said if line.level is Level.ERROR or "ignor" in line.text)
    return "; ".join(dict.fromkeys(text for text in trouble if not _HARMLESS.match(text)))


async def pot_state(host: Host, pot_name: str) -> str:
    """The state that pot wrote down last, "" when there is none."""
    status = parse.status_file(files.text((await host.paths()).status(pot_name)))
    return status.state if status else ""


async def exit_code(host: Host, pot_name: str) -> int | None:
    """What last-run-stats knows; None before the end."""
    stats = files.content((await host.paths()).last_run_stats(pot_name))
    return None if stats is None else parse.exit_code(stats)


def _saw_the_end(home: Home) -> bool:
    """Whether `pot start` came to its own end, and so was the app's."""
    written = home.exit_record()
    return written is not None and written.start_status <= exits.SIGNAL_BASE


async def _jail_gone(host: Host, pot_name: str) -> None:
    told = False
    while True:
        try:
            if not await _jail_lives(host, pot_name):
                return
        except DriverError as error:  # a host in trouble: the task may well live, so go on asking
            if not told:
                log.warning("cannot ask for the jail", pot=pot_name, error=str(error))
            told = True
        await asyncio.sleep(JAIL_POLL_S)


async def _jail_lives(host: Host, pot_name: str) -> bool:
    """The list of all jails serves all who watch one; no list, or a jail that is not in it, proves nothing."""
    with suppress(DriverError):
        if pot_name in await host.jail_names(not_older_s=JAIL_POLL_S / 2):
            return True
    return await host.jails.exists(pot_name)


async def _late_exit_code(host: Host, pot_name: str) -> int | None:
    paths = await host.paths()
    for _ in range(int(LATE_CODE_S / JAIL_POLL_S)):
        code = await exit_code(host, pot_name)
        if code is not None or not paths.pot(pot_name).exists():
            return code
        await asyncio.sleep(JAIL_POLL_S)
    return await exit_code(host, pot_name)
