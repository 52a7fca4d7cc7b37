"""StartTask: the way up, from a plan to a running app.

    image     download it, outside pot's lock
    prepare   clone it as the task's pot, and see that pot did what it said
    steps     attributes, copies, mounts, limits, hosts, as planned; then read back what they should have changed
    files     start script and environment, in the task's secrets directory
    keeper    `pot start` under a keeper, until the task's script runs

Whoever calls undoes everything if it fails. Nomad cannot take a StartTask back, so it ends by itself when the
allocation's directory is gone, when its caller has died, and when the task is to be stopped.

Not here: what is wrong with a job (see `spec`), the order of pot's commands (see `plan`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path

import structlog

from pot_driver import files, spec, task_state
from pot_driver import plan as planning
from pot_driver.driver import ends, scripts, steps
from pot_driver.driver.host import Host
from pot_driver.driver.steps import Tell
from pot_driver.errors import DriverError, PotFailed, TimedOut, TryAgain
from pot_driver.images import Images
from pot_driver.keeper.alive import Watch
from pot_driver.keeper.launch import launch
from pot_driver.model import DriverNetwork, TaskRecord
from pot_driver.plan import Plan, arguments
from pot_driver.plan.arguments import Arguments
from pot_driver.pot import command, parse, prepared
from pot_driver.pot.cli import failure, kind_of
from pot_driver.pot.kernel import sysctl
from pot_driver.pot.layout import PotPaths, image_pot
from pot_driver.pot.parse import PotConf
from pot_driver.tasks import Task

log = structlog.get_logger()

WANTED_POLL_S = 1.0
BEGAN_POLL_S = 0.05


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


async def bring_up(host: Host, images: Images, record: TaskRecord, plan: Plan, tell: Tell) -> TaskRecord:
    """Make the pot and start it; the record with what is known only now."""
    home = host.homes.of(record.pot_name)
    await _refuse_misfit(host, arguments.of(plan.spec))
    home.create(task_state.encode(record))
    for warning in plan.spec.warnings:
        tell(warning)
    local = await images.ensure(plan.image, tell)
    with images.held(local):
        return await _with_image(host, record, planning.of_image(plan, local.tag), tell)


async def _with_image(host: Host, record: TaskRecord, plan: Plan, tell: Tell) -> TaskRecord:
    """The rest, once the image is in pot's cache."""
    paths, home = await host.paths(), host.homes.of(record.pot_name)
    async with host.starts:
        await _prepare(host, paths, record, plan, tell)
        _refuse(await asyncio.to_thread(spec.recheck, plan.spec))
        for step in plan.steps:
            await steps.not_cut(steps.run(host, step, tell))
        conf = _verified(paths, plan)
        # What was copied and what start mounts is what was checked.
        _refuse(await asyncio.to_thread(spec.recheck, plan.spec))
        mounts = parse.fscomp(files.text(paths.fscomp(plan.pot_name)))
        _refuse(await asyncio.to_thread(prepared.leaks, paths.root(plan.pot_name), mounts))
        if plan.spec.user is not None:
            _refuse(prepared.unknown_user(paths.root(plan.pot_name), mounts, plan.spec.user))
        image_conf = parse.pot_conf(files.text(paths.conf(image_pot(plan.image.pot, plan.image.tag))))
        await _refuse_misfit(host, arguments.of(plan.spec, image_conf.cmd, conf.env), tell)
        scripts.write(planning.task_files(plan.spec, image_conf.cmd, conf))
        if conf.ips and plan.own_address:
            record = replace(record, network=DriverNetwork(addr=conf.ips[0], port_map=plan.port_map))
            home.save(task_state.encode(record))
        for problem in await host.disputed_ports(record, conf):
            tell(f"{problem}, and only one of them gets it: say in each task which `ports` are its own ([] for none)")
        await _start(host, paths, record, plan)
    if complaints := ends.complaints(home):
        tell(f"pot start: {complaints}")
    return record


async def until_running(host: Host, record: TaskRecord) -> None:
    """Wait for the task's script to run, or for the end of a task that was quicker than we."""
    home = host.homes.of(record.pot_name)
    watch = Watch(home.alive)
    try:
        async with asyncio.timeout(host.config.timeouts.start):
            while not await _runs(host, record):
                if watch.over:
                    break
                await asyncio.sleep(BEGAN_POLL_S)
            else:
                return
    except TimeoutError:
        raise TimedOut(
            f"pot start of {record.pot_name} did not get as far as the task within"
            f" {host.config.timeouts.start:g} s: {ends.words(home) or 'pot said nothing'}"
        ) from None
    finally:
        watch.close()
    if not scripts.began(record):
        if home.exit_record() is None:
            raise TryAgain(f"cannot start pot {record.pot_name}: its keeper was killed")
        words = ends.words(home) or "pot said nothing"
        raise kind_of(words)(f"cannot start pot {record.pot_name}: the jail did not start: {words}")


async def _runs(host: Host, record: TaskRecord) -> bool:
    """The script says so; an app may take its word away at once, then pot says it half a second later.

    pot says it of a jail that could not be made, too.
    """
    if scripts.began(record):
        return True
    return await ends.pot_state(host, record.pot_name) == "started" and await host.jails.exists(record.pot_name)


async def _prepare(host: Host, paths: PotPaths, record: TaskRecord, plan: Plan, tell: Tell) -> None:
    tell(f"Preparing pot {plan.pot_name}")
    await asyncio.to_thread(scripts.begin, record)
    scripts.write(planning.early_files(plan.spec))
    await _prepare_alone(host, paths, plan, tell)
    hooks = planning.refused_hooks(plan, [file.name for file in paths.conf_dir(plan.pot_name).iterdir()])
    lacking = prepared.problems(paths.root(plan.pot_name), programs=plan.programs, new_directories=plan.new_directories)
    _refuse([hooks, *lacking] if hooks else lacking)
    if plan.spec.network.hostname is not None:
        prepared.set_hostname(paths.conf(plan.pot_name), plan.spec.network.hostname)
    if (dns := plan.spec.network.dns) is not None and dns.startswith("custom:"):
        prepared.set_resolv_conf(paths.conf_dir(plan.pot_name), Path(dns.removeprefix("custom:")))


def _verified(paths: PotPaths, plan: Plan) -> PotConf:
    """The pot's configuration, once it is what was asked for."""
    conf = parse.pot_conf(files.text(paths.conf(plan.pot_name)))
    root = paths.root(plan.pot_name)
    lost = [
        f"its copy {copy.destination} of {copy.source.path} is not there"
        for copy in plan.spec.copies
        if not prepared.was_copied(root, Path(copy.source.path), copy.destination)
    ]
    _refuse(planning.verify(plan, conf, parse.fscomp(files.text(paths.fscomp(plan.pot_name)))) + lost)
    return conf


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


async def _prepare_alone(host: Host, paths: PotPaths, plan: Plan, tell: Tell) -> None:
    """Prepare, once more if what a killed `pot prepare` left was in the way."""
    try:
        return await _prepare_once(host, paths, plan, tell)
    except DriverError as error:
        left = _in_the_way(paths, plan, str(error))
        if not left:
            raise
    log.warning("pot prepare was killed here before, what it left is destroyed", pot=left)
    await host.pot.run(command.destroy(left))
    return await _prepare_once(host, paths, plan, tell)


async def _prepare_once(host: Host, paths: PotPaths, plan: Plan, tell: Tell) -> None:
    """Pot prepare ends with 0 after failures inside; what it says and what is there tell."""
    done = await steps.run(host, plan.prepare, tell)
    claimed = f"Prepared the pot {plan.pot_name}".encode() in done.stdout
    made = paths.conf(plan.pot_name).is_file() and paths.root(plan.pot_name).is_dir()
    if not claimed or not made:
        raise failure(plan.prepare, done)


def _in_the_way(paths: PotPaths, plan: Plan, said: str) -> str:
    """The pot that a killed `pot prepare` left, "" when there is none: our own, or half of the image.

    A dead plugin's prepare may have gone on and made our pot. zfs receives an image's dataset and its root one after
    the other; with the first alone pot takes the image for whole or for absent, and can neither clone nor import it.
    """
    if "already exists" in said and paths.pot(plan.pot_name).exists():
        return plan.pot_name
    image = image_pot(plan.image.pot, plan.image.tag)
    useless = "not found after import" in said or "has no snap" in said
    return image if useless and paths.pot(image).exists() and prepared.is_empty(paths.root(image)) else ""


async def _start(host: Host, paths: PotPaths, record: TaskRecord, plan: Plan) -> None:
    request = plan.spec.task
    await launch(
        host.processes,
        host.homes.of(record.pot_name),
        pot=host.pot.executable,
        pot_name=record.pot_name,
        last_run_stats=str(paths.last_run_stats(record.pot_name)),
        stdout_path=request.stdout_path,
        stderr_path=request.stderr_path,
        timeout_s=host.config.timeouts.quick,
    )
    await until_running(host, record)
