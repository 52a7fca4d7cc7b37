"""DestroyTask and every failed start: everything that a task made, undone in reverse.

Each step looks for what is there instead of trusting what should be, so it can be repeated by whoever comes after a
crash; a step that fails is tried again with back-off, and the task's state directory goes last.

Not here: a graceful end (see `stop`).
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import structlog

from pot_driver.driver.host import Host
from pot_driver.driver.stop import end_jail_now
from pot_driver.errors import DriverError, PotFailed
from pot_driver.keeper.launch import Watch
from pot_driver.model import TaskRecord
from pot_driver.pot import command, parse

log = structlog.get_logger()

TRIES = 6
FIRST_PAUSE_S = 0.5  # then 1, 2, 4, 8: a dataset stays busy for a moment after its jail


async def undo(host: Host, record: TaskRecord) -> None:
    """Leave nothing of the task; PotFailed names what is left, and a repeated call goes on from there."""
    for name, step in STEPS:
        await _persistently(host, record, name, step)


async def _persistently(host: Host, record: TaskRecord, name: str, step: Step) -> None:
    pause_s = FIRST_PAUSE_S
    for last in (False,) * (TRIES - 1) + (True,):
        try:
            await step(host, record)
        except DriverError as error:
            if last:
                raise PotFailed(f"cannot remove pot {record.pot_name} ({name}): {error}") from error
            log.info("undo step failed, will be tried again", pot=record.pot_name, step=name, error=str(error))
            await asyncio.sleep(pause_s)
            pause_s *= 2
        else:
            return


async def _end_jail(host: Host, record: TaskRecord) -> None:
    if await host.pot.jail_exists(record.pot_name):
        await end_jail_now(host, record.pot_name, keeper_lives=_keeper_lives(host, record))


async def _let_keeper_end(host: Host, record: TaskRecord) -> None:
    """`pot start` cleans up after its jail; destroying under its hands leaks interfaces and mounts."""
    watch = Watch(host.homes.of(record.pot_name))
    with suppress(TimeoutError):
        async with asyncio.timeout(host.config.timeouts.stop):
            await watch.ended()
    watch.close()


async def _clean_up_after_killed_start(host: Host, record: TaskRecord) -> None:
    """After a killed `pot start`, mounts and network stay: stop undoes them, destroy does not."""
    paths = await host.paths()
    try:
        status = parse.status_file(paths.status(record.pot_name).read_text(errors="replace"))
    except OSError:
        return
    if status is None or status.state == "stopped" or not paths.pot(record.pot_name).exists():
        return
    if status.state == "starting":
        await host.pot.ask(command.set_status(record.pot_name, "doa"))
    await host.pot.ask(command.stop(record.pot_name))  # refuses after a reboot, when there is nothing to clean up


async def _destroy_pot(host: Host, record: TaskRecord) -> None:
    paths = await host.paths()
    if not paths.pot(record.pot_name).exists():
        return
    step = command.destroy(record.pot_name)
    completed = await host.pot.ask(step)
    if paths.pot(record.pot_name).exists():
        said = parse.error_text(completed.stdout, completed.stderr)
        raise PotFailed(f"pot destroy left it there: {said or 'and said nothing'}")


async def _forget_main_pid(host: Host, record: TaskRecord) -> None:
    """A killed `pot start` leaves it, and destroy does not remove it."""
    paths = await host.paths()
    paths.main_pid(record.pot_name).unlink(missing_ok=True)


async def _remove_limits(host: Host, record: TaskRecord) -> None:
    """Take pot's rctl rules back, which pot never does; without racct there are none, and rctl says so."""
    if record.limited:
        with suppress(DriverError):
            await host.processes.run(("rctl", "-r", f"jail:{record.pot_name}"), timeout_s=host.config.timeouts.quick)


async def _remove_scripts(host: Host, record: TaskRecord) -> None:
    _ = host
    if record.secrets_dir:
        shutil.rmtree(Path(record.secrets_dir, ".pot"), ignore_errors=True)


async def _remove_home(host: Host, record: TaskRecord) -> None:
    host.homes.of(record.pot_name).remove()


def _keeper_lives(host: Host, record: TaskRecord) -> bool:
    watch = Watch(host.homes.of(record.pot_name))
    watch.close()
    return not watch.over


Step = Callable[[Host, TaskRecord], Awaitable[None]]
STEPS: tuple[tuple[str, Step], ...] = (
    ("jail", _end_jail),
    ("keeper", _let_keeper_end),
    ("mounts and network", _clean_up_after_killed_start),
    ("pot", _destroy_pot),
    ("main pid", _forget_main_pid),
    ("limits", _remove_limits),
    ("scripts", _remove_scripts),
    ("state", _remove_home),
)
