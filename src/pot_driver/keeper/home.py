"""A task's private state directory, and the directory of them all.

    STATE_DIR/POT_NAME/task       the task's state as the handle carries it; written before anything is made
                       keeper.sh  the keeper's script
                       alive      FIFO whose write end the keeper holds
                       group      process group of the keeper and of `pot start`
                       stop       there when its end was wanted
                       bell       FIFO in which the task's script says that it runs
                       starting   FIFO that is held for writing until it has said so, or cannot any more
                       began      one byte when it has said so
                       scripts/   the task's scripts, which its pot sees read-only
                       start.log  what pot and the host's tools said while the pot ran
                       exit       how `pot start` ended (see `record`)

Not here: what the state means (see `task_state`), processes.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pot_driver import files
from pot_driver.keeper import record

RECORD_LIMIT = 256 * 1024  # bytes; a record has some hundred
LOG_LIMIT = 64 * 1024  # of start.log that is read, from its end


@dataclass(frozen=True, slots=True)
class Home:
    """One task's state directory; it need not exist."""

    path: Path

    @property
    def alive(self) -> Path:
        """The FIFO that the keeper holds."""
        return self.path / "alive"

    @property
    def keeper(self) -> Path:
        """The keeper's own copy of its script: an upgrade may replace ours at any time."""
        return self.path / "keeper.sh"

    @property
    def starting(self) -> Path:
        """The FIFO that is held until it is known whether the task's script runs."""
        return self.path / "starting"

    @property
    def began(self) -> bool:
        """Whether the task's script has run in the jail."""
        try:
            return (self.path / "began").stat().st_size > 0
        except OSError:
            return False

    @property
    def scripts(self) -> Path:
        """The directory of the task's scripts."""
        return self.path / "scripts"

    @property
    def exists(self) -> bool:
        """Whether a task was ever begun here."""
        return self.path.is_dir()

    def create(self, state: bytes) -> None:
        """Begin: afterwards a crash can be cleaned up by whoever comes next."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.mkdir(mode=0o700)
        self.save(state)
        for fifo in (self.alive, self.starting, self.path / "bell"):
            os.mkfifo(fifo, 0o600)

    def save(self, state: bytes) -> None:
        """Replace the task's state, whole or not at all."""
        new = self.path / "task.new"
        new.write_bytes(state)
        new.rename(self.path / "task")

    def load(self) -> bytes | None:
        """The task's state, or None."""
        return files.content(self.path / "task", RECORD_LIMIT)

    def group(self) -> int | None:
        """The keeper's process group; it means nothing once the keeper is gone."""
        told = (files.content(self.path / "group", 32) or b"").strip()
        return int(told) if told.isdigit() else None

    def want_stop(self) -> None:
        """Note that its end is wanted, for whoever learns of the end; a task of the Go driver has no home."""
        with suppress(OSError):
            (self.path / "stop").touch()

    @property
    def stop_wanted(self) -> bool:
        """Whether its end was wanted."""
        return (self.path / "stop").exists()

    def exit_record(self) -> record.ExitRecord | None:
        """What the keeper wrote, once it is whole."""
        return record.parse((files.content(self.path / "exit", RECORD_LIMIT) or b"").decode(errors="replace"))

    def ended_at_s(self) -> float | None:
        """When the exit record was written."""
        try:
            return (self.path / "exit").stat().st_mtime
        except OSError:
            return None

    def start_log(self) -> str:
        """What pot said while it started, ran and cleaned up the pot."""
        try:
            with (self.path / "start.log").open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_LIMIT))
                return file.read().decode(errors="replace")
        except OSError:
            return ""

    def remove(self) -> None:
        """Forget the task."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.path)


@dataclass(frozen=True, slots=True)
class Homes:
    """The directory of all tasks' state."""

    directory: Path

    def of(self, pot_name: str) -> Home:
        """The home of this pot's task."""
        return Home(self.directory / pot_name)

    def all(self) -> list[Home]:
        """Every home that exists."""
        try:
            return [Home(path) for path in sorted(self.directory.iterdir()) if path.is_dir()]
        except OSError:
            return []
