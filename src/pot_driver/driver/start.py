"""StartTask: the way up, from a plan to a running app.

    image     download it, outside pot's lock; import it as a pot, once for all tasks; look at it before it is used
    clone     `pot clone`: the task's pot, with an address where its network has one
    compose   its files, mount points and configuration, made by the driver; nothing of the image runs for that
    start     `pot start` under a keeper, until the task's script runs

Whoever calls undoes everything if it fails. Nomad cannot take a StartTask back, so it ends by itself when the
allocation's directory is gone, when its caller has died, and when the task is to be stopped.

Not here: what is wrong with a job (see `spec`), what a pot is configured with (see `plan.compose`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path

import structlog

from pot_driver import plan as planning
from pot_driver import spec, task_state
from pot_driver.driver import composing, ends, steps
from pot_driver.driver.composing import Composed
from pot_driver.driver.host import Host
from pot_driver.driver.imports import ImportedImage, Imports, is_whole
from pot_driver.driver.steps import Tell
from pot_driver.errors import DriverError, PotFailed, TimedOut, TryAgain
from pot_driver.images import Images
from pot_driver.keeper.alive import Watch
from pot_driver.keeper.home import Home
from pot_driver.keeper.launch import launch
from pot_driver.model import DriverNetwork, TaskRecord
from pot_driver.plan import Plan, arguments
from pot_driver.plan.arguments import Arguments
from pot_driver.pot import command
from pot_driver.pot.cli import failure, kind_of
from pot_driver.pot.kernel import sysctl
from pot_driver.pot.layout import PotPaths
from pot_driver.tasks import Task

log = structlog.get_logger()

WANTED_POLL_S = 1.0
SLOT_S = 5.0  # for how long a start that waits for its app keeps others from starting
MARK_S = 10.0  # for the keeper's note that the task's script has run
LOOK_S = 1.0  # between two looks at pot's own state, where the task's script says nothing


async def while_wanted(task: Task, alloc_dir: str, work: Awaitable[TaskRecord]) -> TaskRecord:
    """Do the work for as long as somebody waits for it and the allocation's directory is there."""
    loop = asyncio.get_running_loop()
    scope = asyncio.timeout(None)
    timers: list[asyncio.TimerHandle] = []

    def look() -> None:
        if why_unwanted(task, alloc_dir):
            scope.reschedule(loop.time())
        else:
            timers[:] = [loop.call_later(WANTED_POLL_S, look)]

    try:
        async with scope:
            look()
            record = await work
    except TimeoutError:
        if scope.expired():
            raise _given_up(task, alloc_dir) from None
        raise
    finally:
        for timer in timers:
            timer.cancel()
    if why_unwanted(task, alloc_dir):  # since the last look
        raise _given_up(task, alloc_dir)
    return record


def _given_up(task: Task, alloc_dir: str) -> PotFailed:
    return PotFailed(f"the start of task {task.id} was given up: {why_unwanted(task, alloc_dir)}")


def why_unwanted(task: Task, alloc_dir: str) -> str:
    """Why a start should not go on, "" when it should."""
    if task.unwanted:
        return "it is to be stopped, or who asked for it has gone"
    return f"{alloc_dir} is gone" if alloc_dir and not Path(alloc_dir).is_dir() else ""


async def bring_up(
    host: Host, images: Images, imports: Imports, record: TaskRecord, plan: Plan, tell: Tell
) -> TaskRecord:
    """Make the pot and start it; the record with what is known only now."""
    home = host.homes.of(record.pot_name)
    await _refuse_misfit(host, arguments.of(plan.spec))
    home.create(task_state.encode(record))
    for warning in plan.spec.warnings:
        tell(warning)
    local = await images.ensure(plan.image, tell)
    with images.held(local):
        return await _with_image(host, imports, record, planning.of_image(plan, local.tag), tell)


async def _with_image(host: Host, imports: Imports, record: TaskRecord, plan: Plan, tell: Tell) -> TaskRecord:
    """The rest, once the image is in pot's cache or imported."""
    home = host.homes.of(record.pot_name)
    image = await imports.ready(host, plan, tell)
    await _refuse_misfit(host, arguments.of(plan.spec, image.conf.single.get("pot.cmd"), image.conf.env), tell)
    async with host.starts:
        composed = await _compose(host, imports, home, plan, image, tell)
        record = await _known_now(host, home, record, plan, composed, tell)
        await _launch(host, home, plan)
        running = await _within(SLOT_S, until_running(host, record))
    if not running:
        tell("Waiting for the pot to start its command; other tasks go on meanwhile")
        await until_running(host, record)
    if complaints := ends.complaints(home):
        tell(f"pot start: {complaints}")
    return record


async def until_running(host: Host, record: TaskRecord) -> None:
    """Wait for the task's script to run, or for the end of a task that was quicker than we."""
    home = host.homes.of(record.pot_name)
    starting, alive = Watch(home.starting), Watch(home.alive)
    try:
        async with asyncio.timeout(host.config.timeouts.start):
            while not (home.began or alive.over or await _is_started(host, record.pot_name)):
                await _first_of(starting, alive, LOOK_S)
    except TimeoutError:
        raise TimedOut(
            f"pot start of {record.pot_name} did not get as far as the task within"
            f" {host.config.timeouts.start:g} s: {ends.words(home) or 'pot said nothing'}"
        ) from None
    finally:
        starting.close()
        alive.close()
    if alive.over and not await has_begun(home):
        if home.exit_record() is None:
            raise TryAgain(f"cannot start pot {record.pot_name}: its keeper was killed")
        words = ends.words(home) or "pot said nothing"
        raise kind_of(words)(f"cannot start pot {record.pot_name}: the jail did not start: {words}")


async def has_begun(home: Home) -> bool:
    """Whether the script of a task that is over has run: what it said may be written down a moment after its end."""
    starting = Watch(home.starting)
    try:
        async with asyncio.timeout(MARK_S):
            await starting.ended()
    except TimeoutError:
        log.warning("it is not known whether the task's script has run", home=str(home.path))
    finally:
        starting.close()
    return home.began


async def _first_of(one: Watch, other: Watch, seconds: float) -> None:
    """Wait until one of them is over, or some time."""
    waiting = [asyncio.ensure_future(watch.ended()) for watch in (one, other) if not watch.over]  # noqa: TID251 - ended below
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waiting:
            wait.cancel()


async def _is_started(host: Host, pot_name: str) -> bool:
    """What pot says, for an image whose shell does not tell that it runs.

    pot says it half a second later, and of a jail that could not be made, too.
    """
    return await ends.pot_state(host, pot_name) == "started" and await host.jails.exists(pot_name)


async def _within(seconds: float, work: Awaitable[None]) -> bool:
    """Whether the work was done in time; else it is given up."""
    try:
        async with asyncio.timeout(seconds) as scope:
            await work
    except TimeoutError:
        if scope.expired():
            return False
        raise
    return True


async def _compose(host: Host, imports: Imports, home: Home, plan: Plan, image: ImportedImage, tell: Tell) -> Composed:
    tell(f"Preparing pot {plan.pot_name}")
    paths = await host.paths()
    try:
        await _clone(host, paths, plan, tell)
    except DriverError as error:
        if "has no snap" not in str(error) or is_whole(paths, plan.image_pot):
            raise
        image = await imports.again(host, plan, tell)
        await _clone(host, paths, plan, tell)
    _refuse(await asyncio.to_thread(spec.recheck, plan.spec))
    return await asyncio.to_thread(composing.compose_pot, paths, home, plan, image)


async def _clone(host: Host, paths: PotPaths, plan: Plan, tell: Tell) -> None:
    """Pot clone ends with 0 after failures inside; what is there tells."""
    if paths.pot(plan.pot_name).exists():
        log.warning("pot clone was killed here before, what it left is destroyed", pot=plan.pot_name)
        await host.pot.run(command.destroy(plan.pot_name))
    done = await steps.run(host, plan.clone, tell)
    if not is_whole(paths, plan.pot_name):
        raise failure(plan.clone, done)


async def _known_now(
    host: Host, home: Home, record: TaskRecord, plan: Plan, composed: Composed, tell: Tell
) -> TaskRecord:
    """Tell and save what only the pot's own configuration says."""
    for warning in composed.warnings:
        tell(warning)
    if composed.conf.ips and plan.own_address:
        record = replace(record, network=DriverNetwork(addr=composed.conf.ips[0], port_map=plan.port_map))
        home.save(task_state.encode(record))
    for problem in await host.disputed_ports(record, composed.conf):
        tell(f"{problem}, and only one of them gets it: say in each task which `ports` are its own ([] for none)")
    # What pot start mounts is what was checked.
    _refuse(await asyncio.to_thread(spec.recheck, plan.spec))
    return record


async def _refuse_misfit(host: Host, needed: Arguments, tell: Tell = lambda _: None) -> None:
    """Refuse what this host's kernel cannot start, tell of what others cannot; it is rarely worth a question."""
    if misfit := needed.misfit("FreeBSD 12", arguments.EVERYWHERE):
        limit = await sysctl(host.processes, "kern.argmax")
        refused = needed.misfit("this host", int(limit) if limit.isdecimal() else arguments.EVERYWHERE)
        _refuse([refused] if refused else [])
        tell(misfit[0].upper() + misfit[1:])


def _refuse(problems: list[str]) -> None:
    if problems:
        raise PotFailed(f"cannot start the task: {'; '.join(problems)}")


async def _launch(host: Host, home: Home, plan: Plan) -> None:
    request = plan.spec.task
    await launch(
        host.processes,
        home,
        pot=host.pot.executable,
        pot_name=plan.pot_name,
        last_run_stats=str((await host.paths()).last_run_stats(plan.pot_name)),
        stdout_path=request.stdout_path,
        stderr_path=request.stderr_path,
        timeout_s=host.config.timeouts.quick,
    )
