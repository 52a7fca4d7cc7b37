"""The doctor's only edge: fixed commands with a time limit, and files. Nothing is written, locked or started for good.

Not here: what the facts mean.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pot_driver import files, requirements, task_state
from pot_driver.clock import SystemClock
from pot_driver.config import PLUGIN_OPTIONS, decode_plugin
from pot_driver.errors import ConfigError, DriverError, PotFailed, TimedOut
from pot_driver.keeper.home import Homes
from pot_driver.operator import agentfile
from pot_driver.operator.doctor import facts as ask
from pot_driver.operator.doctor.facts import AgentFile, Answer, Argv, Entry, Facts
from pot_driver.operator.hclspec import encode
from pot_driver.pot import layout
from pot_driver.process import CommandMissing, Processes
from pot_driver.schema import spec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pot_driver.config import PluginConfig
    from pot_driver.operator.installation import Installation

LIMIT_S = 10.0  # for each command; the fingerprint gives pot as long
RESOLV_CONF, PF_CONF = Path("/etc/resolv.conf"), Path("/etc/pf.conf")
AGENT_PLACES = tuple(map(Path, ("/usr/local/etc/nomad", "/usr/local/etc/nomad.d", "/etc/nomad.d")))
PLUGIN_DIR = Path("/usr/local/libexec/nomad/plugins")  # of FreeBSD's package
_ON_EVERY_HOST = (ask.POT_VERSION, ask.JLS, ask.PROCESSES, ask.RACCT, ask.NOMAD)
_ON_FREEBSD = (ask.VIMAGE, ask.FORWARDING, ask.RCTL, ask.PF, ask.INTERFACES, ask.DEVFS)


async def look(pot: Installation, config: Path | None) -> Facts:
    """All facts of this host, as the plugin block of `pot` points to them."""
    plugin = decode_plugin(encode(spec(PLUGIN_OPTIONS), pot.plugin_config))
    processes = Processes(plugin.host_path)
    executable = _find(processes, plugin.pot)
    settings = await asyncio.to_thread(layout.settings, Path(executable)) if executable else {}
    asked: tuple[Argv, ...] = _ON_EVERY_HOST
    if not pot.simulated:
        asked += (*_ON_FREEBSD, ask.datasets(settings.get("POT_ZFS_ROOT", "zroot/pot")))
    answers = {argv: await _ask(processes, argv, plugin.pot) for argv in asked}  # one at a time: their time is a row
    return await asyncio.to_thread(_facts, pot, plugin, settings, answers, config)


def _facts(
    pot: Installation,
    plugin: PluginConfig,
    settings: Mapping[str, str],
    answers: Mapping[Argv, Answer],
    config: Path | None,
) -> Facts:
    fs_root = Path(settings.get("POT_FS_ROOT", "/opt/pot"))
    tmp = Path(plugin.pot_tmp or settings.get("POT_TMP", "/tmp"))  # noqa: S108 - pot's default
    cache = Path(plugin.pot_cache or settings.get("POT_CACHE", "/var/cache/pot"))
    places = {"POT_TMP": tmp, "POT_CACHE": cache, "state_dir": Path(plugin.state_dir), "POT_FS_ROOT": fs_root}
    state = Path("/var/run/nomad-pot-driver") if not pot.simulated else pot.state_dir
    agent_files = tuple(_agent_files([config] if config else AGENT_PLACES))
    plugin_dir = None if pot.simulated and not config else _plugin_dir(agent_files)
    processes = Processes(plugin.host_path)
    return Facts(
        simulated=pot.simulated,
        uid=os.geteuid(),
        packages=requirements.complaint(),
        host_path=plugin.host_path,
        settings=settings,
        answers=answers,
        found=frozenset(name for name in ("ncat", "signify") if _find(processes, name)),
        fs_root=fs_root,
        initialised=(fs_root / "jails").is_dir(),
        free_bytes={f"{name} {path}": _free(path) for name, path in places.items()},
        unwritable=tuple(_unwritable({name: places[name] for name in ("POT_TMP", "POT_CACHE", "state_dir")})),
        resolv_conf=files.text(RESOLV_CONF.resolve()) if RESOLV_CONF.exists() else None,
        pf_conf=files.text(PF_CONF),
        set_hosts_age_s=_age_s(tmp / "pot-set-hosts"),
        pots=_directories(fs_root / "jails"),
        homes=frozenset(home.path.name for home in Homes(state).all()),
        damaged=frozenset(_damaged(state)),
        agent_files=agent_files,
        plugin_dir=plugin_dir,
        plugin_entries=_entries(plugin_dir) if plugin_dir else None,
        plugin_dir_others_write=plugin_dir is not None and plugin_dir.is_dir() and _others_write(plugin_dir.stat()),
    )


async def _ask(processes: Processes, argv: Argv, pot: str) -> Answer:
    clock = SystemClock()
    began_s = clock.monotonic_s()
    command = (pot, *argv[1:]) if argv[0] == "pot" else argv
    try:
        done = await processes.run(command, timeout_s=LIMIT_S)
    except CommandMissing:
        return Answer(status=None, missing=True)
    except TimedOut:
        return Answer(status=None, seconds=clock.monotonic_s() - began_s)
    except DriverError as error:
        return Answer(status=None, err=str(error))
    return Answer(
        status=done.status,
        out=done.stdout.decode(errors="replace"),
        err=done.stderr.decode(errors="replace"),
        seconds=clock.monotonic_s() - began_s,
    )


def _find(processes: Processes, name: str) -> str:
    with suppress(CommandMissing):
        return processes.find(name)
    return ""


def _free(path: Path) -> int:
    return shutil.disk_usage(next(one for one in (path, *path.parents) if one.exists())).free


def _unwritable(places: Mapping[str, Path]) -> Iterable[str]:
    for name, path in places.items():
        there = next(one for one in (path, *path.parents) if one.exists())
        if not there.is_dir():
            yield f"{name} {path}: {there} is no directory"
        elif not os.access(there, os.W_OK):
            yield f"{name} {path}: {there} cannot be written to"


def _age_s(path: Path) -> float | None:
    with suppress(OSError):
        return max(0.0, SystemClock().now_s() - path.lstat().st_mtime)
    return None


def _directories(path: Path) -> frozenset[str]:
    with suppress(OSError):
        return frozenset(entry.name for entry in path.iterdir() if entry.is_dir())
    return frozenset()


def _damaged(state: Path) -> Iterable[str]:
    for home in Homes(state).all():
        try:
            task_state.decode_record(home.load() or b"")
        except PotFailed:
            yield home.path.name


def _agent_files(places: Iterable[Path]) -> Iterable[AgentFile]:
    for place in places:
        inside = sorted([*place.glob("*.hcl"), *place.glob("*.json")]) if place.is_dir() else [place]
        for path in inside:
            if path.is_file():
                try:
                    yield AgentFile(path=path, blocks=agentfile.read(path))
                except ConfigError as error:
                    yield AgentFile(path=path, problems=error.problems)


def _plugin_dir(agent_files: Iterable[AgentFile]) -> Path:
    """As the agent finds it: plugin_dir, else below its data_dir; what FreeBSD's package makes, where no file says."""
    for file in agent_files:
        for key, below in {"plugin_dir": "", "data_dir": "plugins"}.items():
            if isinstance(value := file.blocks.get(key), str):
                return Path(value) / below
    return PLUGIN_DIR


def _entries(directory: Path) -> tuple[Entry, ...] | None:
    try:
        return tuple(_entry(path) for path in sorted(directory.iterdir()))
    except OSError:
        return None


def _entry(path: Path) -> Entry:
    target = str(path.readlink()) if path.is_symlink() else None
    try:
        status = path.stat()
    except OSError:
        return Entry(name=path.name, target=target, dangling=True)
    executable = stat.S_ISREG(status.st_mode) and bool(status.st_mode & 0o111)
    return Entry(name=path.name, target=target, executable=executable, others_write=_others_write(status))


def _others_write(status: os.stat_result) -> bool:
    return status.st_uid != 0 or bool(status.st_mode & 0o022)
