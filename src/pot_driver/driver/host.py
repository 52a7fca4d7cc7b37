"""What the use cases work with: the host as one plugin configuration describes it.

Not here: anything that changes while the plugin runs, but for what the host was asked once.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import structlog

from pot_driver import files, task_state
from pot_driver.config import PluginConfig
from pot_driver.errors import PotFailed
from pot_driver.keeper import launch as keeper
from pot_driver.keeper.home import Homes
from pot_driver.model import TaskRecord
from pot_driver.pot import layout, parse
from pot_driver.pot.cli import Pot
from pot_driver.pot.jails import Jails
from pot_driver.pot.layout import PotPaths
from pot_driver.pot.parse import PotConf
from pot_driver.process import Processes

log = structlog.get_logger()


class Host:
    """Made anew by each SetConfig; a use case keeps the one with which it began."""

    def __init__(self, config: PluginConfig) -> None:
        self.config = config
        self.processes = Processes(config.host_path)
        self.pot = Pot(self.processes, config.timeouts, config.pot)
        self.jails = Jails(self.processes, config.timeouts.quick)
        self.homes = Homes(Path(config.state_dir))
        self.starts = asyncio.Semaphore(config.max_parallel_starts)
        self._asking = asyncio.Lock()
        self._paths: PotPaths | None = None
        self._counting = asyncio.Lock()
        self._jail_names: tuple[float, frozenset[str]] = (float("-inf"), frozenset())

    def record(self, pot_name: str) -> TaskRecord | None:
        """What the state directory says of this pot's task; None also where that cannot be read."""
        state = self.homes.of(pot_name).load()
        try:
            found = None if state is None else task_state.decode_record(state)
        except PotFailed as error:
            log.warning("a task's state is damaged", pot=pot_name, error=str(error))
            return None
        if found is not None and found.pot_name != pot_name:
            log.warning("a task's state is damaged", pot=pot_name, error=f"it is of pot {found.pot_name}")
            return None
        return found

    def records(self) -> list[TaskRecord]:
        """All tasks of which the state directory knows."""
        return [record for home in self.homes.all() if (record := self.record(home.path.name))]

    async def disputed_ports(self, record: TaskRecord, conf: PotConf) -> list[str]:
        """Neither Nomad nor pot minds that two tasks of a group have one port of the host forwarded."""
        paths = await self.paths()
        mine = {_host_port(export) for export in conf.export_ports}
        problems = []
        for other in await asyncio.to_thread(self.records):
            if other.alloc_id == record.alloc_id and other.name != record.name:
                theirs = parse.pot_conf(files.text(paths.conf(other.pot_name))).export_ports
                both = sorted(mine & {_host_port(export) for export in theirs})
                problems += [f'port {port} of the host is forwarded to task "{other.name}", too' for port in both]
        return problems

    async def pot_start_works(self, pot_name: str) -> bool:
        """Whether its `pot start` goes on."""
        return await keeper.works(
            self.processes, self.homes.of(pot_name), pot_name, timeout_s=self.config.timeouts.quick
        )

    async def kill_pot_start(self, pot_name: str) -> None:
        """End a `pot start` that hangs."""
        await keeper.kill(self.processes, self.homes.of(pot_name), pot_name, timeout_s=self.config.timeouts.quick)

    async def jail_names(self, *, not_older_s: float) -> frozenset[str]:
        """The names of all jails: whoever watches for an end asks together with the others."""
        async with self._counting:
            now_s = asyncio.get_running_loop().time()
            if now_s - self._jail_names[0] > not_older_s:
                self._jail_names = (now_s, await self.jails.names())
            return self._jail_names[1]

    async def paths(self) -> PotPaths:
        """Where pot keeps its files; asked once."""
        async with self._asking:
            if self._paths is None:
                settings = layout.settings(Path(self.processes.find(self.pot.executable)))
                paths = PotPaths(fs_root=Path(await self.pot.fs_root()))
                self._paths = replace(
                    paths,
                    cache=Path(self.config.pot_cache or settings.get("POT_CACHE") or paths.cache),
                    tmp=Path(self.config.pot_tmp or settings.get("POT_TMP") or paths.tmp),
                )
        return self._paths


def _host_port(export: str) -> str:
    """Of "80:8080" and "udp:53:5353" what stands for the host."""
    protocol, _, _ = export.rpartition(":")[0].rpartition(":")
    return export.rpartition(":")[2] + (f"/{protocol}" if protocol else "")
