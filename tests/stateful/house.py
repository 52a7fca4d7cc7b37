"""The host: a pot-sim root, its administrator, and the accidents that happen on it.

Not here: Nomad and its plugin (see `nomad`).
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pot_driver.operator import installation
from pot_sim import doctor, registry
from pot_sim.root import Root

ADMIN_LIMIT_S = 90.0
_POT_OF_A_TASK = re.compile(r"_[0-9a-f]{8}_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class House:
    """One host below one directory."""

    path: Path

    @classmethod
    def build(cls, path: Path) -> House:
        """With an image `shell` 1.0, imported already."""
        installation.simulated(path)
        installation.pot_sim(path, "image", "create", "shell", "1.0")
        return cls(path)

    @property
    def root(self) -> Root:
        return Root(str(self.path))

    @property
    def allocs(self) -> Path:
        return self.path.parent / "allocs"

    @property
    def state_dir(self) -> Path:
        return self.path / "driver"

    @property
    def plugin_config(self) -> Mapping[str, object]:
        return {"host_path": f"{self.path}/bin:/usr/bin:/bin", "state_dir": str(self.state_dir)}

    async def pot(self, *words: str) -> int:
        """What an administrator types."""
        process = await asyncio.create_subprocess_exec(
            self.path / "bin/pot",
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": f"{self.path}/bin:/usr/bin:/bin"},
            start_new_session=True,
        )
        async with asyncio.timeout(ADMIN_LIMIT_S):
            return await process.wait()

    def jail_lives(self, pot_name: str) -> bool:
        return registry.running(self.root.run, pot_name) is not None

    def has_conf(self, pot_name: str) -> bool:
        """Whether `pot prepare` has come so far."""
        return Path(self.root.conf(pot_name), "pot.conf").exists()

    def keepers(self, pot_name: str) -> list[int]:
        """The processes that keep this pot."""
        script = str(self.state_dir / pot_name / "keeper.sh")
        return [pid for pid, words in _processes() if script in words]

    def starts(self, pot_name: str) -> list[int]:
        """The `pot start` of this pot."""
        return [pid for pid, words in _processes() if words[-3:] == ["start", "-p", pot_name]]

    def commands(self, pot_name: str) -> list[int]:
        """The pot commands for this pot that are under way, oldest first, but for `pot start`."""
        start = pot_name.partition("_")[2]  # as `pot prepare` is told it
        return sorted(
            pid
            for pid, words in _processes()
            if str(self.path / "bin/pot") in words[:4] and {pot_name, start} & set(words) and "start" not in words
        )

    def kill(self, pids: list[int], signum: int = signal.SIGKILL) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signum)

    async def reboot(self, state_dir: str) -> None:
        """The machine goes down hard and comes up again; the plugin must be dead already.

        `state_dir`: kept, lost, or emptied, as FreeBSD's cleanvar does it: the files go, directories and FIFOs stay.
        """
        self._end_everything()
        if state_dir == "lost":
            shutil.rmtree(self.state_dir, ignore_errors=True)
        elif state_dir == "emptied":
            for path in self.state_dir.glob("*/*"):
                if path.is_file():
                    path.unlink()
        await asyncio.to_thread(installation.pot_sim, self.path, "reboot")

    def leftovers(self) -> list[str]:
        """What is still here of any task."""
        return [*self.places_but_of(""), *doctor.leftovers(self.root)]

    def places_but_of(self, pot_name: str) -> list[str]:
        """Pots, states and temporary files of tasks, but for those of this one."""
        return [place for place in self._places() if not pot_name or pot_name not in place]

    def places_of(self, pot_name: str) -> list[str]:
        """Of this one, and its jail."""
        jail = ["its jail"] if self.jail_lives(pot_name) else []
        return [*jail, *(place for place in self._places() if pot_name in place)]

    def _places(self) -> list[str]:
        directories = [Path(self.root.jails), Path(self.root.tmp), self.state_dir]
        entries = [entry for directory in directories if directory.exists() for entry in directory.iterdir()]
        return [str(entry.relative_to(self.path)) for entry in entries if _POT_OF_A_TASK.search(entry.name)]

    def demolish(self) -> None:
        """Leave nothing, whatever state it is in."""
        self._end_everything()
        shutil.rmtree(self.path, ignore_errors=True)

    def _end_everything(self) -> None:
        while pids := [
            int(words.split()[1].rstrip(":")) for words in doctor.leftovers(self.root) if words.startswith("process ")
        ]:
            for signum in (signal.SIGSTOP, signal.SIGKILL):  # at once, as a power cut: nobody sees another die
                self.kill(pids, signum)
            time.sleep(0.01)


class Hosts:
    """A host for each sequence; one that was left clean serves the next."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._built = 0
        self._house: House | None = None

    def whole(self) -> House:
        if self._house is None:
            self._built += 1
            self._house = House.build(self._path / f"{self._built}" / "host")
        return self._house

    def condemn(self) -> None:
        if self._house is not None:
            self._house.demolish()
        self._house = None


async def until(so: Callable[[], bool]) -> None:
    """Look until it is so: the file system tells nobody."""
    async with asyncio.timeout(ADMIN_LIMIT_S):
        while not so():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


def _processes() -> Iterator[tuple[int, list[str]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                yield int(entry.name), (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
