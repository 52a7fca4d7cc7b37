"""StopTask: the way down, from a friendly signal to the end of the jail.

    kill_signal      `pot signal` to the main process, then up to kill_timeout for it to end
    pot stop         SIGTERM to all processes of the jail, SIGKILL after what is left of kill_timeout
    pot stop again   with back-off, until the jail is gone: pot refuses while a pot is starting or someone else stops it

It returns when the jail is gone, never before, and gives up with an error, never with silence.

Not here: removing the pot (see `undo`).
"""

from __future__ import annotations

import asyncio
import math

import structlog

from pot_driver.clock import Clock
from pot_driver.driver import ends
from pot_driver.driver.host import Host
from pot_driver.errors import DriverError, PotFailed
from pot_driver.keeper.launch import Watch
from pot_driver.pot import command, parse
from pot_driver.tasks import Task

log = structlog.get_logger()

SIGNAL_TRIES = 8  # pot knows the main process only half a second after the jail is up
SIGNAL_RETRY_S = 0.25
ROUNDS = 6  # of pot stop, with 0.5, 1, 2, 4, 8 s between them
FIRST_PAUSE_S = 0.5
WAYS_OUT = {"starting": "doa", "stopping": "stopped"}  # the moves that pot allows
# pot start makes the app ignore SIGINT and SIGQUIT unless it installs a handler of its own: so they get a half of the
# time, and SIGTERM the other.
OFTEN_IGNORED = frozenset({"SIGINT", "SIGQUIT"})


async def stop(host: Host, task: Task, clock: Clock, *, timeout_s: float, signal: str) -> None:
    """Stop a running task; PotFailed if its jail outlives all of it. `signal` as pot spells it, "" for the default."""
    deadline_s = clock.monotonic_s() + timeout_s
    if signal and timeout_s > 0:
        share = 0.5 if signal in OFTEN_IGNORED else 1.0
        if await _signalled(host, task, signal) and await _over_within(task, timeout_s * share):
            return
    await _end_jail(host, task, clock, deadline_s)
    # The keeper sees the end some seconds after the jail is gone: pot cleans up first.
    if not await _over_within(task, host.config.timeouts.stop):
        log.warning("pot start goes on without its jail", pot=task.pot_name)
        code = await ends.exit_code(host, task.pot_name)
        task.ended(ends.now_known(host, task, code), clock.now_s())


async def send_signal(host: Host, task: Task, name: str) -> None:
    """Send a signal to the main process, whose pid pot knows only half a second after the jail is up."""
    step = command.signal(task.pot_name, name)
    for _ in range(SIGNAL_TRIES - 1):
        if (await host.pot.ask(step)).status == 0:
            return
        if await _over_within(task, SIGNAL_RETRY_S):
            break
    await host.pot.run(step)


async def end_jail_now(host: Host, pot_name: str, *, keeper_lives: bool) -> None:
    """Kill what runs in the jail, now."""
    await _pot_stop(host, pot_name, 0)
    if await host.pot.jail_exists(pot_name):
        await _unstick(host, pot_name, keeper_lives=keeper_lives)
        raise PotFailed(f"jail {pot_name} still lives after pot stop")


async def _signalled(host: Host, task: Task, name: str) -> bool:
    try:
        await send_signal(host, task, name)
    except DriverError as error:
        log.warning("cannot send the kill signal", pot=task.pot_name, signal=name, error=str(error))
        return False
    return True


async def _end_jail(host: Host, task: Task, clock: Clock, deadline_s: float) -> None:
    said = ""
    pause_s = FIRST_PAUSE_S
    for _ in range(ROUNDS):
        left_s = max(0, math.ceil(deadline_s - clock.monotonic_s()))
        said = await _pot_stop(host, task.pot_name, left_s) or said
        if task.result is not None or not await host.pot.jail_exists(task.pot_name):
            return
        watch = Watch(host.homes.of(task.pot_name))
        watch.close()
        await _unstick(host, task.pot_name, keeper_lives=not watch.over)
        if await _over_within(task, pause_s):
            return
        pause_s *= 2
    raise PotFailed(f"cannot stop pot {task.pot_name}: its jail still lives; pot said: {said or 'nothing'}")


async def _pot_stop(host: Host, pot_name: str, grace_s: int) -> str:
    """One `pot stop`; what pot said against it, or ""."""
    said = ""
    for step in (
        command.set_attribute(
            pot_name, "stop_timeout", str(grace_s), reason="SIGKILL after what is left of kill_timeout"
        ),
        command.stop(pot_name),
    ):
        try:
            completed = await host.pot.ask(step, extra_s=grace_s)
        except DriverError as error:
            said = str(error)
        else:
            if completed.status != 0:
                said = parse.error_text(completed.stdout, completed.stderr)
    if said:
        log.info("pot stop refused", pot=pot_name, said=said)
    return said


async def _unstick(host: Host, pot_name: str, *, keeper_lives: bool) -> None:
    """Where `pot start` or `pot stop` was killed, the state stays for ever one in which pot refuses to stop."""
    if keeper_lives:
        return
    paths = await host.paths()
    try:
        status = parse.status_file(paths.status(pot_name).read_text(errors="replace"))
    except OSError:
        return
    way_out = WAYS_OUT.get(status.state) if status else None
    if way_out is not None:
        await host.pot.ask(command.set_status(pot_name, way_out))


async def _over_within(task: Task, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await task.over()
    except TimeoutError:
        return False
    return True
