"""The name of a task's pot.

nomad-pot-driver's scheme, `<task>_<8 hex digits of the task's id>_<allocation>`, in letters that ZFS, jails, pf and
pot's own word splitting all take.

Not here: names of images.
"""

from __future__ import annotations

import hashlib
import re

from pot_driver.errors import ConfigError

_TASK_LENGTH = 64  # ZFS ends at 255 for the whole dataset, and the rest of the name is 46 long
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")


def parts(task_id: str, alloc_id: str, name: str) -> tuple[str, str]:
    """The two parts of which `pot prepare` makes the name: task, and `<8 hex>_<allocation>`."""
    if not task_id or not alloc_id or not name:
        raise ConfigError(
            [f'the task needs an id, an allocation id and a name, not "{task_id}", "{alloc_id}", "{name}"']
        )
    task = _UNSAFE.sub("_", name)[:_TASK_LENGTH]
    if task.startswith("-"):  # pot would read an option
        task = f"_{task[1:]}"
    return task, f"{_invocation(task_id)}_{_UNSAFE.sub('_', alloc_id)[:_TASK_LENGTH]}"


def pot_name(task_id: str, alloc_id: str, name: str) -> str:
    """The pot of a task: another one for each start."""
    return "_".join(parts(task_id, alloc_id, name))


def _invocation(task_id: str) -> str:
    """Nomad's own eight digits at the end of the id; the same kind of digits for any other id."""
    last = task_id.rpartition("/")[2]
    if re.fullmatch("[0-9a-f]{8}", last):
        return last
    return hashlib.sha256(task_id.encode(errors="replace")).hexdigest()[:8]
