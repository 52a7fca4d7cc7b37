"""DestroyTask and every failed start: everything that a task made, undone in reverse.

Each step looks for what is there instead of trusting what should be, so it can be repeated by whoever comes after a
crash; a step that fails is tried again with back-off, and the task's state directory goes last.

Not here: a graceful end (see `stop`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import structlog

from pot_driver.driver import ends, scripts
from pot_driver.driver.host import Host
from pot_driver.driver.stop import end_jail, release
from pot_driver.errors import DriverError, PotFailed
from pot_driver.model import TaskRecord
from pot_driver.pot import command, parse

log = structlog.get_logger()

GIVE_UP_S = 15.0  # a step that still fails so long after its first failure is not tried again
FIRST_PAUSE_S = 0.5  # then 1, 2, 4, 8: a dataset stays busy for a moment after its jail
LOOK_S = 0.5  # while `pot start` is on its way to a jail, or back from one
SETTLE_S = 5.0  # a `pot start` whose keeper was killed may still clean up


async def undo(host: Host, record: TaskRecord) -> None:
    """Leave nothing of the task; PotFailed names what is left, and a repeated call goes on from there."""
    for name, step in STEPS:
        await _persistently(host, record, name, step)


async def _persistently(host: Host, record: TaskRecord, name: str, step: Step) -> None:
    loop = asyncio.get_running_loop()
    began, pause_s = loop.time(), FIRST_PAUSE_S
    while True:
        try:
            await step(host, record)
        except (DriverError, OSError) as error:
            if loop.time() - began > GIVE_UP_S:
                raise PotFailed(f"cannot remove pot {record.pot_name} ({name}): {error}") from error
            log.info("undo step failed, will be tried again", pot=record.pot_name, step=name, error=str(error))
            await asyncio.sleep(pause_s)
            pause_s *= 2
        else:
            return


async def _end(host: Host, record: TaskRecord) -> None:
    """End the jail, and see `pot start` to its end: it cleans up, and may still be on its way to a jail."""
    loop = asyncio.get_running_loop()
    await _end_jail(host, record)
    limit = loop.time() + host.config.timeouts.stop
    while await host.pot_start_works(record.pot_name):
        if loop.time() > limit:
            await _kill_pot_start(host, record)
        await asyncio.sleep(LOOK_S)
        await _end_jail(host, record)


async def _kill_pot_start(host: Host, record: TaskRecord) -> None:
    log.warning("pot start does not end, and is killed", pot=record.pot_name)
    await host.kill_pot_start(record.pot_name)
    if await host.pot_start_works(record.pot_name):
        raise PotFailed("its pot start cannot be ended")


async def _end_jail(host: Host, record: TaskRecord) -> None:
    if await host.jails.exists(record.pot_name):
        await end_jail(host, record.pot_name, lambda: 0)


async def _clean_up(host: Host, record: TaskRecord) -> None:
    """After a killed `pot start`, mounts and network stay: stop undoes them, destroy does not."""
    paths = await host.paths()
    if not paths.pot(record.pot_name).exists():
        return
    state = await ends.pot_state(host, record.pot_name)
    if state in {"", "stopped"}:
        return
    for _ in range(int(SETTLE_S / LOOK_S)):
        if state != "stopping":
            break
        await asyncio.sleep(LOOK_S)
        state = await ends.pot_state(host, record.pot_name)
    if state in {"starting", "stopping"}:
        await release(host, record.pot_name)
    try:
        await host.pot.ask(command.stop(record.pot_name))  # refuses after a reboot, when there is nothing to clean up
    except DriverError as error:
        log.warning("cannot clean up after pot start", pot=record.pot_name, error=str(error))


async def _destroy_pot(host: Host, record: TaskRecord) -> None:
    paths = await host.paths()
    if not paths.pot(record.pot_name).exists():
        return
    completed = await host.pot.ask(command.destroy(record.pot_name))
    if paths.pot(record.pot_name).exists() and not _was_remnant(paths.pot(record.pot_name)):
        said = parse.error_text(completed.stdout, completed.stderr)
        raise PotFailed(f"pot destroy left it there: {said or 'and said nothing'}")


def _was_remnant(pot: Path) -> bool:
    """Remove what pot prepare makes of a pot whose dataset cannot be created, and pot destroy does not know.

    Only plain files, and directories that are empty then: nothing that could be a mount is walked into.
    """
    root, conf = pot / "m", pot / "conf"
    try:
        if root.exists():
            root.rmdir()  # refused where there is anything in it, or it is a mount
        for file in conf.iterdir():
            file.unlink()
        conf.rmdir()
        pot.rmdir()
    except OSError:
        return False
    return True


async def _forget_main_pid(host: Host, record: TaskRecord) -> None:
    """A killed `pot start` leaves it, and destroy does not remove it."""
    paths = await host.paths()
    paths.main_pid(record.pot_name).unlink(missing_ok=True)


async def _remove_limits(host: Host, record: TaskRecord) -> None:
    """Take pot's rctl rules back, which pot never does; without racct there are none, and rctl says so."""
    if record.limited:
        with suppress(DriverError):
            await host.processes.run(("rctl", "-r", f"jail:{record.pot_name}"), timeout_s=host.config.timeouts.quick)


async def _remove_scripts(_host: Host, record: TaskRecord) -> None:
    await asyncio.to_thread(scripts.remove_earlier, record)  # the app may have left any number of files


async def _remove_home(host: Host, record: TaskRecord) -> None:
    host.homes.of(record.pot_name).remove()


Step = Callable[[Host, TaskRecord], Awaitable[None]]
STEPS: tuple[tuple[str, Step], ...] = (
    ("jail", _end),
    ("mounts and network", _clean_up),
    ("pot", _destroy_pot),
    ("main pid", _forget_main_pid),
    ("limits", _remove_limits),
    ("scripts of an earlier version", _remove_scripts),
    ("state", _remove_home),
)
