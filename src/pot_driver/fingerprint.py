"""What the host offers, as Nomad asks it: health with a reason, and attributes that jobs can constrain on.

The first answer comes within a second whatever pot does, because the agent's start waits for it; a pot that is merely
slow has then not answered yet, and is told so. Each state has one constant description: Nomad reports every change of
it to its servers.

Not here: what is done about a host in trouble.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import structlog

from pot_driver import __version__
from pot_driver.errors import DriverError, TimedOut
from pot_driver.model import BootId, Fingerprint, Health
from pot_driver.pot import layout
from pot_driver.pot.kernel import opaque, sysctl
from pot_driver.process import CommandMissing

if TYPE_CHECKING:
    from pot_driver.config import PluginConfig
    from pot_driver.pot.cli import Pot
    from pot_driver.pot.layout import PotPaths
    from pot_driver.process import Processes

FIRST_S = 0.6  # until the first answer
HANGING_S = 10.0  # until a pot command that should take a tenth of a second counts as hanging
PERIOD_S = 30.0
OLDEST_POT = (0, 16, 0)
RESOLV_CONF = Path("/etc/resolv.conf")
SAME_BOOT_S = 5.0
WORDS = 300

NOT_YET = "pot has not answered yet: the driver is waiting for it"
SILENT = "pot does not answer: its commands hang"
LOST = "the driver failed to look at the host, see the agent's log"

log = structlog.get_logger()
Value = TypeVar("Value")


class Probed(Protocol):
    """A host as one plugin configuration describes it."""

    @property
    def config(self) -> PluginConfig:
        """The plugin block."""
        ...

    @property
    def processes(self) -> Processes:
        """Host commands."""
        ...

    @property
    def pot(self) -> Pot:
        """The pot executable."""
        ...

    async def paths(self) -> PotPaths:
        """Where pot keeps its files."""
        ...


class _Unfit(Exception):  # noqa: N818 - it carries a state, not an error
    """The host cannot run pots."""

    def __init__(self, health: Health, description: str) -> None:
        super().__init__(description)
        self.fingerprint = Fingerprint(health=health, description=description[:WORDS])


class Fingerprinter:
    """Looks at the host, again and again. `host` is asked each time: SetConfig replaces it."""

    def __init__(self, host: Callable[[], Probed], uid: Callable[[], int] = os.geteuid) -> None:
        self._host = host
        self._uid = uid
        self._last: Fingerprint | None = None
        self._silences = 0

    async def stream(self) -> AsyncGenerator[Fingerprint, None]:
        """The first answer at once, then one each period, until closed.

        While pot is still being asked, the first answer is what was last found, or NOT_YET.
        """
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(self.probe())
            try:
                if not (await asyncio.wait({first}, timeout=FIRST_S))[0]:
                    yield self._last or Fingerprint(health=Health.UNHEALTHY, description=NOT_YET)
                yield await first
                while True:
                    await asyncio.sleep(PERIOD_S)
                    yield await self.probe()
            except GeneratorExit:  # in a TaskGroup it would come out as an ExceptionGroup
                first.cancel()

    async def probe(self) -> Fingerprint:
        """Look once. A good host that is silent once is busy; silent twice, it is in trouble."""
        try:
            found = await self._look(self._host())
        except _Unfit as unfit:
            found = unfit.fingerprint
        except Exception:
            log.exception("unexpected error while looking at the host")
            found = Fingerprint(health=Health.UNHEALTHY, description=LOST)
        self._silences = self._silences + 1 if found.description == SILENT else 0
        if self._silences == 1 and self._last is not None and self._last.health is Health.HEALTHY:
            return self._last
        if self._last is None or self._last.description != found.description:
            log.info("driver health", health=found.health.name.lower(), description=found.description)
        self._last = found
        return found

    async def _look(self, host: Probed) -> Fingerprint:
        if not host.config.enabled:
            raise _Unfit(Health.UNDETECTED, "disabled in the agent's plugin block (enabled = false)")
        if self._uid() != 0:
            raise _Unfit(Health.UNDETECTED, "the Nomad agent does not run as root, which pot needs")
        try:
            executable = host.processes.find(host.pot.executable)
        except CommandMissing as missing:
            raise _Unfit(Health.UNDETECTED, f"pot is not installed: {missing}") from missing
        version = await _answer(host.pot.version())
        if _numbers(version) < OLDEST_POT:
            oldest = ".".join(map(str, OLDEST_POT))
            raise _Unfit(Health.UNHEALTHY, f"pot {version} is too old: this driver needs {oldest} or newer")
        paths = await _answer(host.paths())
        if missing_files := _missing(host.config, paths):
            raise _Unfit(Health.UNHEALTHY, missing_files)
        return Fingerprint(
            health=Health.HEALTHY,
            description="Healthy",
            attributes={
                "driver.pot": True,
                "driver.pot.version": f"v{__version__}",
                "driver.pot.pot_version": version,
                "driver.pot.racct": await sysctl(host.processes, "kern.racct.enable") == "1",
                "driver.pot.vnet": await sysctl(host.processes, "kern.features.vimage") == "1",
                "driver.pot.ncat": _has(host.processes, "ncat"),
                "driver.pot.signify": _has(host.processes, "signify"),
                "driver.pot.volumes.enabled": host.config.volumes.enabled,
                **_settings(Path(executable)),
            },
        )


async def boot_identity(processes: Processes) -> BootId:
    """Which boot of the host this is, as far as the kernel tells."""
    try:
        since = re.match(r"\{ sec = (\d+), usec = (\d+) \}", await sysctl(processes, "kern.boottime"))
        boot_id = await opaque(processes, "kern.boot_id")  # FreeBSD 13 and newer
    except DriverError as error:
        log.warning("cannot tell when the host was booted", error=str(error))
        return BootId()
    return BootId(boottime_s=int(since[1]) + int(since[2]) / 1e6 if since else 0.0, boot_id=boot_id)


def same_boot(one: BootId, other: BootId) -> bool:
    """Whether two identities are of the same boot; what cannot be told counts as the same.

    A boot id is random and decides. Without it the boot time does, which the kernel derives from the clock: it moves
    when the clock is set. The tolerance takes the corrections of a running ntpd, and is less than what lies between
    two boots of which the first came as far as running a pot.
    """
    if one.boot_id and other.boot_id:
        return one.boot_id == other.boot_id
    if not one.boottime_s or not other.boottime_s:
        return True
    return abs(one.boottime_s - other.boottime_s) <= SAME_BOOT_S


async def _answer(question: Awaitable[Value]) -> Value:
    """What pot answers, within a time that makes sense to wait."""
    try:
        async with asyncio.timeout(HANGING_S):
            return await question
    except (TimeoutError, TimedOut) as error:
        raise _Unfit(Health.UNHEALTHY, SILENT) from error
    except DriverError as error:
        raise _Unfit(Health.UNHEALTHY, f"pot does not work: {error}") from error


def _missing(config: PluginConfig, paths: PotPaths) -> str:
    jails = paths.fs_root / "jails"
    if not jails.is_dir():
        return f"pot is not initialised: {jails} is missing (run pot init, or mount its datasets)"
    if config.default_dns in {None, "inherit"} and not RESOLV_CONF.exists():
        return f"{RESOLV_CONF} is missing: pots that inherit the host's DNS cannot start"
    needed = {"state_dir": Path(config.state_dir), "pot's image cache": paths.cache, "POT_TMP": paths.tmp}
    for name, path in needed.items():
        there = next(one for one in (path, *path.parents) if one.exists())
        if not (there.is_dir() and os.access(there, os.W_OK)):
            return f"{name} {path} cannot be used: {there} is no directory that can be written to"
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    return tuple(int(number or 0) for number in match.groups()) if match else ()


def _has(processes: Processes, command: str) -> bool:
    try:
        processes.find(command)
    except CommandMissing:
        return False
    return True


def _settings(executable: Path) -> dict[str, str]:
    """What pot's configuration says that a job may care for."""
    settings = layout.settings(executable)
    names = {"driver.pot.network_stack": "POT_NETWORK_STACK", "driver.pot.zfs_root": "POT_ZFS_ROOT"}
    return {attribute: settings[name] for attribute, name in names.items() if settings.get(name)}
