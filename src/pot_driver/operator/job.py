"""A job as `pot-driver` uses it: frozen values with Nomad's defaults.

Not here: reading them (see `jobfile`), what they become on a host (see `allocation`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pot_driver.model import Dns


@dataclass(frozen=True, slots=True, kw_only=True)
class PortAsk:
    """A port that the job wants. `static` 0: any free one."""

    label: str
    static: int = 0
    to: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A file made from text."""

    data: str
    destination: str
    env: bool = False
    perms: int = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeMount:
    """A volume of the group in a task."""

    volume: str
    destination: str
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResources:
    """What the task asks for."""

    cpu_mhz: int = 100
    cores: int = 0
    memory_mb: int = 300
    memory_max_mb: int = 0
    legacy_ports: tuple[PortAsk, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A pot task of the job. `config` is the JSON form of its `config` block."""

    name: str
    config: Mapping[str, object]
    env: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, str] = field(default_factory=dict)
    templates: tuple[Template, ...] = ()
    volume_mounts: tuple[VolumeMount, ...] = ()
    resources: TaskResources = TaskResources()
    user: str = ""
    kill_timeout_s: float = 5.0
    kill_signal: str = ""
    leader: bool = False
    logs_disabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Tasks that share an allocation."""

    name: str
    tasks: tuple[Task, ...]
    ports: tuple[PortAsk, ...] = ()
    dns: Dns | None = None
    meta: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The file's job.

    `left_to_nomad`: what it says that has no effect on a run without Nomad; `needs_nomad`: what forbids one.
    """

    id: str
    groups: tuple[Group, ...]
    name: str = ""
    namespace: str = "default"
    region: str = "global"
    datacenter: str = "dc1"
    meta: Mapping[str, str] = field(default_factory=dict)
    left_to_nomad: tuple[str, ...] = ()
    needs_nomad: tuple[str, ...] = ()
