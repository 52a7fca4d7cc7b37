"""StopTask: the way down, from a friendly signal to the end of the jail.

    kill_signal      to the main process, then up to kill_timeout for it to end
    pot stop         SIGTERM to all processes of the jail, SIGKILL after what is left of kill_timeout
    pot stop again   with back-off, until the jail is gone: pot refuses while a pot is starting or someone else stops it
    SIGKILL          to all processes, each time that the jail outlives a pot stop after kill_timeout

It returns when the jail is gone, never before, and gives up with an error, never with silence.

Not here: removing the pot (see `undo`).
"""

from __future__ import annotations

import asyncio
import math
import signal
from collections.abc import Callable
from contextlib import suppress

import structlog

from pot_driver import files, signals
from pot_driver.clock import Clock
from pot_driver.driver import composing, ends
from pot_driver.driver.host import Host
from pot_driver.errors import DriverError, PotFailed, WrongState
from pot_driver.keeper import launch as keeper
from pot_driver.pot import command, parse
from pot_driver.pot.command import PotStep
from pot_driver.tasks import Task

log = structlog.get_logger()

SIGNAL_TRIES = 8  # pot knows the main process only half a second after the jail is up
SIGNAL_RETRY_S = 0.25
NOT_YET = ("", "starting")  # states in which pot has not written the pid
FIRST_PAUSE_S = 0.25  # between two pot stops, then twice as long each time
LONGEST_PAUSE_S = 4.0
PATIENCE = 4  # pot stops that may be refused for a state that someone who lives will leave by himself
KILLS = 5  # then the jail cannot be ended
# pot start makes the app ignore SIGINT and SIGQUIT unless it installs a handler of its own: so they get a half of the
# time, and SIGTERM the other.
OFTEN_IGNORED = frozenset({"SIGINT", "SIGQUIT"})
# The moves that pot allows from states whose owner was killed, to one from which it stops.
WAYS_OUT = {"starting": ("doa",), "stopping": ("stopped",)}
# From one that pot takes for outdated, because the clock was set.
WAY_BACK = ("starting", "doa")


def commands(pot_name: str) -> tuple[PotStep, ...]:
    """The pot commands of a stop to which nobody objects."""
    return (command.stop(pot_name),)


async def stop(host: Host, task: Task, clock: Clock, *, timeout_s: float, kill_signal: str) -> None:
    """Stop a running task; PotFailed if its jail outlives all of it. `kill_signal`: its name, "" for the default."""
    deadline_s = clock.monotonic_s() + timeout_s
    if kill_signal and timeout_s > 0:
        share = 0.5 if kill_signal in OFTEN_IGNORED else 1.0
        if await _signalled(host, task, kill_signal) and await _over_within(task, timeout_s * share):
            return
    await end_jail(host, task.pot_name, lambda: deadline_s - clock.monotonic_s())
    # The keeper sees the end some seconds after the jail is gone: pot cleans up first.
    if await _over_within(task, host.config.timeouts.stop):
        return
    log.warning("pot start goes on without its jail, and is killed", pot=task.pot_name)
    await host.kill_pot_start(task.pot_name)
    if not await _over_within(task, ends.LATE_CODE_S + ends.JAIL_POLL_S):
        code = await ends.exit_code(host, task.pot_name)
        task.ended(ends.now_known(host, task, code), clock.now_s())


async def send_signal(host: Host, task: Task, name: str) -> None:
    """Send a signal to the main process, whose pid pot knows only half a second after the jail is up.

    A task whose main process has just ended, while pot still clears up, has got the signal as far as anybody can tell:
    an error would fail its whole allocation, where a template has changed.
    """
    number = signals.number_here(name)
    if number is None:
        raise WrongState(f"cannot send {name}: the kernel of this host has no such signal")
    for _ in range(SIGNAL_TRIES):
        pid = await _main_pid(host, task.pot_name)
        if pid is not None and await host.jails.signal(task.pot_name, pid, number):
            return
        if await ends.pot_state(host, task.pot_name) not in NOT_YET or await _over_within(task, SIGNAL_RETRY_S):
            return
    raise PotFailed(f"cannot send {name} to pot {task.pot_name}: pot has not told the pid of its main process")


async def _main_pid(host: Host, pot_name: str) -> int | None:
    """The pid that pot has written down, which means something only as long as it is one of the jail's."""
    told = files.content((await host.paths()).main_pid(pot_name), limit=16, owner=0) or b""
    return int(told) if told.strip().isdigit() else None


async def end_jail(host: Host, pot_name: str, left_s: Callable[[], float]) -> None:
    """Return when the jail is gone. `left_s`: for how long its processes may still end by themselves."""
    said = ""
    refused = killed = 0
    pause_s = FIRST_PAUSE_S
    while killed <= KILLS:
        said = await _pot_stop(host, pot_name, max(0, math.ceil(left_s()))) or said
        if not await host.jails.exists(pot_name):
            return
        refused += 1
        if refused > PATIENCE or not await keeper.lives(host.homes.of(pot_name)):
            await release(host, pot_name)
        if left_s() <= 0:
            killed += 1
            log.warning("pot stop did not end the jail, its processes are killed", pot=pot_name, said=said)
            await host.jails.kill_all(pot_name, signal.SIGKILL)
        await asyncio.sleep(pause_s)
        if not await host.jails.exists(pot_name):
            return
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
    raise PotFailed(f"cannot stop pot {pot_name}: its jail still lives; pot said: {said or 'nothing'}")


async def release(host: Host, pot_name: str) -> None:
    """Where `pot start` or `pot stop` was killed, the state stays for ever one in which pot refuses to stop."""
    state = await ends.pot_state(host, pot_name)
    for step in WAYS_OUT.get(state, WAY_BACK):
        await _attempt(host, command.set_status(pot_name, step))


async def _signalled(host: Host, task: Task, name: str) -> bool:
    try:
        await send_signal(host, task, name)
    except DriverError as error:
        log.warning("cannot send the kill signal", pot=task.pot_name, signal=name, error=str(error))
        return False
    return True


async def _pot_stop(host: Host, pot_name: str, grace_s: int) -> str:
    """One `pot stop`, with SIGKILL after what is left of kill_timeout; what pot said against it, or ""."""
    try:
        await asyncio.to_thread(composing.set_attribute, await host.paths(), pot_name, "stop_timeout", str(grace_s))
    except (OSError, DriverError) as error:
        log.warning("cannot set the time that pot stop gives", pot=pot_name, error=str(error))
    said = ""
    for step in commands(pot_name):
        said = await _attempt(host, step, extra_s=grace_s)
    return said


async def _attempt(host: Host, step: PotStep, *, extra_s: float = 0.0) -> str:
    """Run a command that may fail; what pot said against it, or ""."""
    try:
        completed = await host.pot.ask(step, extra_s=extra_s)
    except DriverError as error:
        said = str(error)
    else:
        if completed.status == 0:
            return ""
        said = parse.error_text(completed.stdout, completed.stderr) or f"it ended with {completed.status}"
    log.info("pot refused", verb=step.verb, reason=step.reason, said=said)
    return said


async def _over_within(task: Task, seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await task.over()
            return True
    return False
