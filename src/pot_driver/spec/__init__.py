"""From what a job says to what a pot needs: everything that can be wrong is found here, before pot is asked anything.

Rooms: `values` the result; `draft` a job while it is checked; `names`, `image`, `paths`, `mounts`, `ports`,
`network`, `attributes`, `environment`, `command` one part each.

Not here: changing anything on the host (this room only looks), pot's commands (see `plan`).
"""

from __future__ import annotations

from pot_driver.config import PluginConfig, TaskOptions, read_task
from pot_driver.errors import ConfigError
from pot_driver.model import Resources, TaskConfig
from pot_driver.spec import command
from pot_driver.spec.attributes import attributes
from pot_driver.spec.draft import Draft
from pot_driver.spec.environment import environment
from pot_driver.spec.image import image
from pot_driver.spec.mounts import copies, mounts
from pot_driver.spec.names import pot_name
from pot_driver.spec.network import network
from pot_driver.spec.paths import changed
from pot_driver.spec.values import Copy, Environment, Export, HostPath, ImageRef, Mounting, Network, TaskSpec

__all__ = [
    "Copy",
    "Environment",
    "Export",
    "HostPath",
    "ImageRef",
    "Mounting",
    "Network",
    "TaskSpec",
    "build",
    "changed",
    "pot_name",
    "read",
    "recheck",
]


def build(task: TaskConfig, options: TaskOptions, plugin: PluginConfig, *, look: bool = True) -> TaskSpec:
    """What the job asks of a pot, or one ConfigError with everything that is wrong with it.

    `look`: whether the host's files are there to be looked at. They are not when a job is only planned.
    """
    draft = Draft(task=task, options=options, plugin=plugin, look=look)
    connected = network(draft)
    mounted = mounts(draft)
    spec = TaskSpec(
        task=task,
        pot_name=pot_name(task.id, task.alloc_id, task.name),
        image=image(draft),
        command=command.command(draft),
        user=command.user(draft),
        exec_stop=command.exec_stop(draft),
        network=connected,
        environment=environment(draft, connected),
        attributes=attributes(draft),
        mounts=mounted,
        copies=copies(draft, mounted),
        memory_mb=_memory_mb(task.resources),
        cpus=_cpus(task.resources),
        allowed_attributes=plugin.allowed_attributes,
        allow_image_hooks=plugin.allow_image_hooks,
        warnings=tuple(draft.warnings),
    )
    if draft.problems:
        raise ConfigError(draft.problems)
    return spec


def read(task: TaskConfig, plugin: PluginConfig, *, look: bool = True) -> TaskSpec:
    """`build` from the job's own `config` block: what cannot be read and what does not fit, all in one ConfigError."""
    options, unread = read_task(task.driver_config)
    try:
        spec = build(task, options, plugin, look=look)
    except ConfigError as error:
        named = {_option(problem) for problem in unread}
        raise ConfigError([*unread, *(p for p in error.problems if _option(p) not in named)]) from None
    if unread:
        raise ConfigError(unread)
    return spec


def _option(problem: str) -> str:
    return problem.partition(":")[0].partition("[")[0]


def recheck(spec: TaskSpec) -> list[str]:
    """What leads elsewhere now than when the job was checked: to be asked just before pot uses the paths."""
    sources = [copy.source for copy in spec.copies] + [mounting.source for mounting in spec.mounts]
    return [problem for source in sources if (problem := changed(source))]


def _memory_mb(resources: Resources) -> int | None:
    """The one limit that pot has, the hard one: `memory_max` where the job has it."""
    if resources.memory_max_mb < 0:
        return None
    return max(resources.memory_mb, resources.memory_max_mb) or None


def _cpus(resources: Resources) -> int | None:
    """How many cores were reserved: pot takes a number and chooses which."""
    count = 0
    for part in resources.cpuset_cpus.split(","):
        first, dash, last = part.strip().partition("-")
        if first.isdecimal() and (last.isdecimal() or not dash):
            count += int(last) - int(first) + 1 if dash else 1
    return count or None
