"""What the use cases work with: the host as one plugin configuration describes it.

Not here: anything that changes while the plugin runs, but for what the host was asked once.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from pot_driver.config import PluginConfig
from pot_driver.keeper.home import Homes
from pot_driver.pot import layout
from pot_driver.pot.cli import Pot
from pot_driver.pot.layout import PotPaths
from pot_driver.process import Processes


class Host:
    """Made anew by each SetConfig; a use case keeps the one with which it began."""

    def __init__(self, config: PluginConfig) -> None:
        self.config = config
        self.processes = Processes(config.host_path)
        self.pot = Pot(self.processes, config.timeouts, config.pot)
        self.homes = Homes(Path(config.state_dir))
        self.starts = asyncio.Semaphore(config.max_parallel_starts)
        # pot set-hosts uses one temporary file for all pots: two at a time fail.
        self.set_hosts = asyncio.Lock()
        self._asking = asyncio.Lock()
        self._paths: PotPaths | None = None

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
