"""The decoded options, one frozen dataclass per block.

What is set when a job or an agent says nothing stands in `tables`; `decode_plugin(b"")` is the empty block.

Not here: decoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """A job's `config` block. None = not written."""

    image: str
    pot: str
    tag: str
    command: str | None = None
    args: tuple[str, ...] = ()
    args_mode: str = "shell"
    network_mode: str | None = None
    network_stack: str | None = None
    ip: tuple[str, ...] = ()
    bridge: str | None = None
    port_map: Mapping[str, str] | None = None
    ports: tuple[str, ...] | None = None
    dns: str | None = None
    hostname: str | None = None
    extra_hosts: tuple[str, ...] = ()
    copy: tuple[str, ...] = ()
    mount: tuple[str, ...] = ()
    mount_read_only: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    exec_stop: str | None = None
    signature_pubkey: str | None = None
    force_pull: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Volumes:
    """Which host paths jobs may name."""

    enabled: bool
    allowed_paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds per kind of pot command; `PotStep.timeout` names one of these."""

    quick: float
    prepare: float
    copy: float
    start: float
    stop: float
    destroy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadOptions:
    """Limits of an image download."""

    inactivity_timeout_s: float
    header_timeout_s: float
    timeout_s: float
    max_parallel: int
    max_size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GcOptions:
    """Retention of images."""

    image: bool
    image_delay_s: float
    image_budget_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """How a server of images is asked; `url` is the block's label."""

    url: str
    username: str | None = None
    password_file: str | None = None
    token_file: str | None = None
    ca_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcilerOptions:
    """The search for pots without a task."""

    enabled: bool
    period_s: float
    creation_grace_s: float
    dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginConfig:
    """The agent's `plugin` block."""

    enabled: bool
    host_path: str
    pot: str
    pot_cache: str | None = None
    pot_tmp: str | None = None
    state_dir: str
    default_network_mode: str
    default_dns: str | None = None
    allowed_image_urls: tuple[str, ...]
    allowed_attributes: tuple[str, ...] | None = None
    allow_image_hooks: bool
    require_signature: bool
    force_pull: bool
    signature_pubkey: str | None = None
    max_parallel_starts: int
    stats_interval_s: float
    registry: tuple[Registry, ...]
    volumes: Volumes
    timeouts: Timeouts
    download: DownloadOptions
    gc: GcOptions
    reconciler: ReconcilerOptions
