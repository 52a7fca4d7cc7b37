"""StartTask: the way up, from a plan to a running app.

    image     download it, outside pot's lock
    prepare   clone it as the task's pot, and see that pot did what it said
    steps     attributes, copies, mounts, limits, hosts, as planned; then read back what they should have changed
    files     start script and environment, in the task's secrets directory
    keeper    `pot start` under a keeper, until the task's script runs

Whoever calls undoes everything if it fails. Nomad cannot take a StartTask back, so it ends by itself when the
allocation's directory is gone.

Not here: what is wrong with a job (see `spec`), the order of pot's commands (see `plan`).
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import structlog

from pot_driver import plan as planning
from pot_driver import spec, task_state
from pot_driver.driver import ends
from pot_driver.driver.host import Host
from pot_driver.errors import PotFailed, TimedOut, TryAgain
from pot_driver.images import Images
from pot_driver.keeper.launch import Watch, launch
from pot_driver.model import DriverNetwork, TaskConfig, TaskRecord
from pot_driver.plan import Plan, TaskFile
from pot_driver.pot import parse, prepared
from pot_driver.pot.cli import failure, kind_of
from pot_driver.pot.command import PotStep
from pot_driver.pot.layout import PotPaths, image_pot
from pot_driver.process import Completed

log = structlog.get_logger()

Tell = Callable[[str], None]  # a task event

WANTED_POLL_S = 1.0
BEGAN_POLL_S = 0.05
SLOW_S = 5.0  # after which a step that waits for pot's lock is told
SET_HOSTS_TRIES = 5
SET_HOSTS_PAUSE_S = 0.5


async def while_wanted(request: TaskConfig, work: Awaitable[TaskRecord]) -> TaskRecord:
    """Do the work for as long as the allocation's directory is there."""
    loop = asyncio.get_running_loop()
    scope = asyncio.timeout(None)
    timers: list[asyncio.TimerHandle] = []

    def look() -> None:
        if request.alloc_dir and not Path(request.alloc_dir).is_dir():
            scope.reschedule(loop.time())
        else:
            timers[:] = [loop.call_later(WANTED_POLL_S, look)]

    try:
        async with scope:
            look()
            return await work
    except TimeoutError:
        if scope.expired():
            raise PotFailed(f"task {request.id} is not wanted any more: {request.alloc_dir} is gone") from None
        raise
    finally:
        for timer in timers:
            timer.cancel()


async def bring_up(host: Host, images: Images, record: TaskRecord, plan: Plan, tell: Tell) -> TaskRecord:
    """Make the pot and start it; the record with what is known only now."""
    paths = await host.paths()
    home = host.homes.of(record.pot_name)
    home.create(task_state.encode(record))
    for warning in plan.spec.warnings:
        tell(warning)
    await images.ensure(plan.image, tell)
    async with host.starts:
        await _prepare(host, paths, record, plan, tell)
        _refuse(spec.recheck(plan.spec))
        for step in plan.steps:
            await _run(host, step, tell)
        conf = parse.pot_conf(_read(paths.conf(plan.pot_name)))
        _refuse(planning.verify(plan, conf, parse.fscomp(_read(paths.fscomp(plan.pot_name)))))
        _refuse(spec.recheck(plan.spec))  # what was copied and what start mounts is what was checked
        image_conf = parse.pot_conf(_read(paths.conf(image_pot(plan.image.pot, plan.image.tag))))
        _write(planning.task_files(plan.spec, image_conf.cmd))
        if conf.ips and plan.own_address:
            record = replace(record, network=DriverNetwork(addr=conf.ips[0], port_map=plan.port_map))
            home.save(task_state.encode(record))
        await _start(host, paths, record, plan)
    return record


async def until_running(host: Host, record: TaskRecord) -> None:
    """Wait for the task's script to run, or for the end of a task that was quicker than we."""
    home = host.homes.of(record.pot_name)
    watch = Watch(home)
    try:
        async with asyncio.timeout(host.config.timeouts.start):
            while not ends.began(record):
                if watch.over:
                    break
                await asyncio.sleep(BEGAN_POLL_S)
    except TimeoutError:
        raise TimedOut(
            f"pot start of {record.pot_name} did not get as far as the task within"
            f" {host.config.timeouts.start:g} s: {ends.words(home) or 'pot said nothing'}"
        ) from None
    finally:
        watch.close()
    if not ends.began(record):
        words = ends.words(home) or "pot said nothing"
        raise kind_of(words)(f"cannot start pot {record.pot_name}: the jail did not start: {words}")


def has_exec_script(record: TaskRecord) -> bool:
    """Whether commands can run as the task does: the Go driver writes no script, and a task may remove its own."""
    return bool(record.secrets_dir) and Path(record.secrets_dir, ".pot", "exec.sh").is_file()


async def _prepare(host: Host, paths: PotPaths, record: TaskRecord, plan: Plan, tell: Tell) -> None:
    tell(f"Preparing pot {plan.pot_name}")
    _fresh_scripts(record)
    _write(planning.early_files(plan.spec))
    done = await _run(host, plan.prepare, tell)
    # pot prepare ends with 0 after failures inside; what it says and what is there tell.
    claimed = f"Prepared the pot {plan.pot_name}".encode() in done.stdout
    made = paths.conf(plan.pot_name).is_file() and paths.root(plan.pot_name).is_dir()
    if not claimed or not made:
        raise failure(plan.prepare, done)
    hooks = planning.refused_hooks(plan, [file.name for file in paths.conf_dir(plan.pot_name).iterdir()])
    lacking = prepared.problems(paths.root(plan.pot_name), programs=plan.programs, new_directories=plan.new_directories)
    _refuse([hooks, *lacking] if hooks else lacking)
    if plan.spec.network.hostname is not None:
        prepared.set_hostname(paths.conf(plan.pot_name), plan.spec.network.hostname)


def _refuse(problems: list[str]) -> None:
    if problems:
        raise PotFailed(f"cannot start the task: {'; '.join(problems)}")


def _fresh_scripts(record: TaskRecord) -> None:
    """Make secrets/.pot anew: an earlier run of the task may have left anything there."""
    directory = Path(record.secrets_dir, ".pot")
    try:
        if directory.is_symlink() or directory.is_file():
            directory.unlink()
        elif directory.exists():
            shutil.rmtree(directory)
        directory.mkdir(mode=0o700)
    except OSError as error:
        raise TryAgain(f"cannot make {directory}: {error.strerror}") from error


def _write(files: tuple[TaskFile, ...]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    for file in files:
        try:
            with os.fdopen(os.open(file.path, flags, file.mode), "wb") as target:
                target.write(file.content)
        except OSError as error:
            raise TryAgain(f"cannot write {file.path}: {error.strerror}") from error


async def _run(host: Host, step: PotStep, tell: Tell) -> Completed:
    if step.verb == "set-hosts":
        return await _set_hosts(host, step)
    slow = asyncio.get_running_loop().call_later(
        SLOW_S, tell, f"Waiting for pot {step.verb}: pot does this for one pot at a time"
    )
    if not step.locked:
        slow.cancel()
    try:
        return await host.pot.run(step)
    finally:
        slow.cancel()


async def _set_hosts(host: Host, step: PotStep) -> Completed:
    """One at a time on the host: also another agent's driver or an administrator may be at it."""
    async with host.set_hosts:
        for _ in range(SET_HOSTS_TRIES - 1):
            with suppress(TryAgain):
                return await host.pot.run(step)
            await asyncio.sleep(SET_HOSTS_PAUSE_S)
        return await host.pot.run(step)


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
    )
    await until_running(host, record)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
