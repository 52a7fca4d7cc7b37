"""The values that cross room borders: frozen, with units in their names.

`TaskConfig` is what Nomad asks (the wire's message of that name, decoded); `spec.TaskSpec` is what we
made of it after validation.

Not here: behaviour, I/O, protobuf, msgpack.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One port of the group's network (or of a legacy `resources.network` block)."""

    label: str
    value: int  # on the host
    to: int = 0  # inside the pot; 0 = not said
    host_ip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A host or CSI volume, or a device's directory, that Nomad wants in the task."""

    task_path: str
    host_path: str
    readonly: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device that Nomad wants in the task."""

    task_path: str
    host_path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dns:
    """Nomad's `dns` block."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What the scheduler granted. `memory_max_mb`: 0 = not set, -1 = unlimited."""

    memory_mb: int = 0
    memory_max_mb: int = 0
    cpuset_cpus: str = ""  # "2,3" when the job asks for `cores`
    ports: tuple[Port, ...] = ()  # the group's network
    legacy_ports: tuple[Port, ...] = ()  # resources.network of old jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskConfig:
    """Nomad's TaskConfig. After an agent restart `driver_config` is empty: never rely on it to recover."""

    id: str
    name: str
    alloc_id: str
    job: str = ""
    group: str = ""
    driver_config: bytes = b""
    env: Mapping[str, str] = field(default_factory=dict)
    device_env: Mapping[str, str] = field(default_factory=dict)
    resources: Resources = Resources()
    mounts: tuple[Mount, ...] = ()
    devices: tuple[Device, ...] = ()
    user: str = ""
    alloc_dir: str = ""
    stdout_path: str = ""
    stderr_path: str = ""
    dns: Dns | None = None

    @property
    def task_dir(self) -> str:
        """The task's directory on the host."""
        return f"{self.alloc_dir}/{self.name}"

    @property
    def local_dir(self) -> str:
        """What the task sees as /local."""
        return f"{self.task_dir}/local"

    @property
    def secrets_dir(self) -> str:
        """What the task sees as /secrets."""
        return f"{self.task_dir}/secrets"

    @property
    def shared_dir(self) -> str:
        """What the task sees as /alloc."""
        return f"{self.alloc_dir}/alloc"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitResult:
    """How a task ended. A death by signal N is `exit_code` 128+N and `signal` N; `err` explains the rest."""

    exit_code: int
    signal: int = 0
    err: str = ""

    @property
    def successful(self) -> bool:
        """What Nomad takes for success."""
        return self.exit_code == 0 and self.signal == 0 and not self.err


class TaskState(Enum):
    """Nomad's three states of a task."""

    UNKNOWN = 0
    RUNNING = 1
    EXITED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverNetwork:
    """The pot's own address; `port_map`: label → port inside the pot."""

    addr: str
    port_map: Mapping[str, int] = field(default_factory=dict)
    auto_advertise: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskHandle:
    """What Nomad stores and gives back to RecoverTask. `driver_state` is ours (see `task_state`)."""

    version: int
    config: TaskConfig
    state: TaskState
    driver_state: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedTask:
    """StartTask's answer. `config_echo` is not here: the wire echoes the request itself, byte for byte."""

    version: int
    driver_state: bytes
    network: DriverNetwork | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BootId:
    """Which boot of the host: `boot_id` where the kernel tells one, else ""."""

    boottime_s: float = 0.0
    boot_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """All that a later plugin process must know to go on with a task; the handle carries it (see `task_state`).

    `secrets_dir` is empty for a pot that nomad-pot-driver 0.10.0 started: it has none of our scripts.
    """

    id: str
    name: str
    alloc_id: str
    pot_name: str
    started_at_s: float
    boot: BootId
    secrets_dir: str = ""
    limited: bool = False  # rctl rules outlive the pot
    job: str = ""  # for people, as `group`
    group: str = ""
    network: DriverNetwork | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStatus:
    """InspectTask's answer. Times are seconds since the epoch; 0 = not yet."""

    id: str
    name: str
    state: TaskState
    started_at_s: float
    completed_at_s: float
    result: ExitResult | None
    attributes: Mapping[str, str] = field(default_factory=dict)
    network: DriverNetwork | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Resource usage of one pot at `timestamp_s`. `percent`: 100 = one core; `total_mhz` = CPU in MHz."""

    timestamp_s: float
    percent: float = 0.0
    total_mhz: float = 0.0
    rss_bytes: int = 0
    swap_bytes: int | None = None
    usage_bytes: int | None = None  # virtual memory


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent:
    """A line in `nomad alloc status`. Nomad drops it unless `alloc_id` and `task_name` match."""

    task_id: str
    alloc_id: str
    task_name: str
    timestamp_s: float
    message: str
    annotations: Mapping[str, str] = field(default_factory=dict)


class Health(Enum):
    """Nomad's health of a driver."""

    UNDETECTED = 0
    UNHEALTHY = 1
    HEALTHY = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What the host offers. Descriptions are constant per state: each change is a node update."""

    health: Health
    description: str
    attributes: Mapping[str, str | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCompute:
    """The host's compute as the agent tells it in SetConfig (Nomad ≥ 1.7); 0 = not told."""

    total_mhz: int = 0
    cores: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecResult:
    """ExecTask's answer."""

    stdout: bytes
    stderr: bytes
    exit_code: int
    signal: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecSetup:
    """The first message of an exec stream."""

    task_id: str
    command: tuple[str, ...]
    tty: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecInput:
    """A later message of an exec stream: any of the three, or none (a heartbeat)."""

    data: bytes = b""
    close: bool = False
    tty_size: tuple[int, int] | None = None  # rows, columns


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecOutput:
    """What an exec stream answers: data or close of one of the two streams, or, alone and last, the exit."""

    stream: str = "stdout"  # "stdout" | "stderr"
    data: bytes = b""
    close: bool = False
    exit: ExitResult | None = None
