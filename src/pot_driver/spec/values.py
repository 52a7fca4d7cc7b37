"""What a job asks of a pot, validated: the values between `spec` and `plan`.

Not here: how they are found (the other rooms of `spec`), pot's arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pot_driver.model import TaskConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRef:
    """An image: the files `<url>/<pot>_<tag>.xz…`. `signature_pubkey`: a file on the host.

    `force`: what is on the host counts only if the registry still has the same. `strict`: only an image whose origin
    is known to be this URL will do.
    """

    url: str
    pot: str
    tag: str
    signature_pubkey: str | None = None
    force: bool = False
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPath:
    """A path on the host without symlinks, and which file or directory it was when it was checked."""

    path: str
    device: int | None = None  # None: not looked at
    inode: int | None = None
    is_directory: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A host file or directory to copy into the pot."""

    source: HostPath
    destination: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mounting:
    """A host directory to mount in the pot. `option` and `reason`: who wants it."""

    source: HostPath
    destination: str
    read_only: bool
    option: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A port of the pot that the host answers for."""

    label: str
    pot_port: int
    host_port: int
    udp: bool = False

    def __str__(self) -> str:
        return f"{'udp:' if self.udp else ''}{self.pot_port}:{self.host_port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """`type` is pot's network type, None: the image's."""

    type: str | None
    ips: tuple[str, ...] = ()
    bridge: str | None = None
    stack: str | None = None
    dns: str | None = None  # inherit, pot, off or custom; None: the image's choice
    resolv_conf: str | None = None  # of custom: the content
    resolv_file: HostPath | None = None  # or the file with it
    hostname: str | None = None
    hosts: tuple[tuple[str, str], ...] = ()  # name, address
    exports: tuple[Export, ...] = ()

    @property
    def own_address(self) -> bool:
        """Whether the pot has an address of its own. Of an image's type nothing is known before it is prepared."""
        return self.type != "inherit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The task's variables, and the names that no shell can export."""

    variables: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """A task that can be planned. `warnings` are for task events: what is accepted but does not do what it may seem."""

    task: TaskConfig
    pot_name: str
    image: ImageRef
    command: str | None  # a line for the pot's shell; None: the image's own
    user: str | None  # None: the pot's root
    exec_stop: str | None
    network: Network
    environment: Environment
    attributes: tuple[tuple[str, str], ...] = ()
    copies: tuple[Copy, ...] = ()
    mounts: tuple[Mounting, ...] = ()  # in the order in which they must be made
    memory_mb: int | None = None
    cpus: int | None = None
    allowed_attributes: tuple[str, ...] | None = None
    allow_image_hooks: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def dropped_env(self) -> tuple[str, ...]:
        """Names of variables that the task will not see."""
        return self.environment.dropped
