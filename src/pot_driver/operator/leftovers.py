"""What `pot-driver run` has left on this host because it was killed, and its removal through the plugin.

A run's tasks are those whose record names a directory below the run's own; a run lives while it holds that
directory's lock.

Not here: what an agent's tasks leave (the plugin's reconciler sees to it).
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pot_driver import task_state
from pot_driver.errors import PotFailed
from pot_driver.keeper.home import Homes
from pot_driver.operator import scratch
from pot_driver.operator.scratch import Scratch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pot_driver.model import TaskRecord
    from pot_driver.operator.session import Session

PREFIX = "pot-driver-run."


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """The directories of killed runs, each held by us now, and their tasks."""

    runs: tuple[Scratch, ...] = ()
    tasks: tuple[TaskRecord, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.runs or self.tasks)

    async def end_plugins(self) -> None:
        """Before another plugin has the tasks in its hands."""
        for run in self.runs:
            await run.end_plugins()

    async def remove(self, session: Session) -> None:
        """Pots first, then directories."""
        for task in self.tasks:
            with session.console.step("clean", f"removing {task.pot_name}") as step:
                await session.agent.destroy_task(task.id)
                step.result = f"removed pot {task.pot_name} of a run that was killed"
        for run in self.runs:
            run.remove()

    def release(self) -> None:
        """Leave them to a later run."""
        for run in self.runs:
            run.release()


def find(state_dir: Path) -> Leftovers:
    """Look for them. What another user's run has left is not looked at."""
    records = list(_records(state_dir))
    runs = {path: taken for path in scratch.left(PREFIX) if (taken := Scratch.take(path))}
    tasks = [record for record in records if (root := _root(record)) in runs or (root and not os.path.lexists(root))]
    return Leftovers(runs=tuple(runs.values()), tasks=tuple(tasks))


def _records(state_dir: Path) -> Iterable[TaskRecord]:
    """Those that can be read; `pot-driver ps` tells of the others."""
    for home in Homes(state_dir).all():
        with suppress(PotFailed):
            yield task_state.decode_record(home.load() or b"")


def _root(record: TaskRecord) -> Path | None:
    """The directory of the run that has started it."""
    above = Path(record.secrets_dir).parents  # RUN/ALLOCATION/TASK/secrets
    root = above[2] if len(above) > 2 else None  # noqa: PLR2004
    return root if root is not None and root.name.startswith(PREFIX) else None
