"""What Nomad keeps for us in a task's handle: versioned msgpack, readable for ever.

    version 3  ours: a map of the fields of `model.TaskRecord`; unknown fields are ignored, missing ones default
    version 2  nomad-pot-driver 0.10.0: Go field names, strings in msgpack's old raw format; it has no pot name,
               which follows from the task id

Not here: whether the task still lives.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Mapping
from typing import Any

import msgpack

from pot_driver.errors import PotFailed
from pot_driver.model import BootId, DriverNetwork, TaskConfig, TaskRecord

VERSION = 3
# As `spec.names` makes them; the Go driver took more.
_POT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,254}")
_OLD_POT_NAME = re.compile(r"[^/\0\n.-][^/\0\n]{0,254}")
_ID = re.compile(r"[^\0]{1,1024}")
_DIRECTORY = re.compile(r"|/[^\0\n]{0,4095}")
_YEAR_1_TO_1970_S = 62_135_596_800


def encode(record: TaskRecord) -> bytes:
    """The handle's driver_state."""
    network = record.network
    fields: dict[str, object] = {
        "id": record.id,
        "name": record.name,
        "alloc_id": record.alloc_id,
        "pot_name": record.pot_name,
        "started_at_s": record.started_at_s,
        "boottime_s": record.boot.boottime_s,
        "boot_id": record.boot.boot_id,
        "secrets_dir": record.secrets_dir,
        "limited": record.limited,
        "job": record.job,
        "group": record.group,
    }
    if network is not None:
        fields |= {
            "addr": network.addr,
            "port_map": dict(network.port_map),
            "auto_advertise": network.auto_advertise,
        }
    packed: bytes = msgpack.packb(fields)
    return packed


def decode(version: int, data: bytes, config: TaskConfig, legacy_pot_name: Callable[[str], str]) -> TaskRecord:
    """The record in a handle of any version; PotFailed when it cannot be read."""
    if version == VERSION:
        record = decode_record(data)
        if record.id != config.id:
            raise PotFailed(f"cannot recover task {config.id}: its handle is damaged: it is of task {record.id!r}")
        return record
    if version == 2:  # noqa: PLR2004 - the Go driver's
        state = _go_state(data)
        return TaskRecord(
            id=config.id,
            name=config.name,
            alloc_id=config.alloc_id,
            pot_name=_fit(legacy_pot_name(config.id), _OLD_POT_NAME, "pot_name"),
            started_at_s=_go_time(state.get(b"StartedAt")),
            boot=BootId(),
            limited=True,  # it limits the memory of every task
        )
    raise PotFailed(
        f"cannot recover task {config.id}: its handle has version {version}, this driver reads 2 and {VERSION}"
    )


def decode_record(data: bytes) -> TaskRecord:
    """Our own record; PotFailed when it is damaged."""
    fields = _unpack(data, raw=False)
    try:
        network = (
            DriverNetwork(
                addr=str(fields["addr"]),
                port_map={str(label): int(port) for label, port in fields.get("port_map", {}).items()},
                auto_advertise=bool(fields.get("auto_advertise")),
            )
            if "addr" in fields
            else None
        )
        return TaskRecord(
            id=_fit(str(fields["id"]), _ID, "id"),
            name=_fit(str(fields["name"]), _ID, "name"),
            alloc_id=_fit(str(fields["alloc_id"]), _ID, "alloc_id"),
            pot_name=_fit(str(fields["pot_name"]), _POT_NAME, "pot_name"),
            started_at_s=_finite(fields.get("started_at_s", 0.0)),
            boot=BootId(boottime_s=_finite(fields.get("boottime_s", 0.0)), boot_id=str(fields.get("boot_id", ""))),
            secrets_dir=_fit(str(fields.get("secrets_dir", "")), _DIRECTORY, "secrets_dir"),
            limited=bool(fields.get("limited")),
            job=str(fields.get("job", "")),
            group=str(fields.get("group", "")),
            network=network,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PotFailed(f"cannot read the task's handle: {type(error).__name__} {error}") from error


def _fit(value: str, pattern: re.Pattern[str], field: str) -> str:
    """The value; PotFailed where it is none that this driver writes: a record names what is destroyed."""
    if pattern.fullmatch(value) is None or ".." in value.split("/"):
        raise PotFailed(f"cannot read the task's handle: it is damaged: {field} is {value[:80]!r}")
    return value


def _finite(value: object) -> float:
    number = float(value)  # type: ignore[arg-type]
    if not math.isfinite(number):
        raise ValueError(f"{number} is no time")
    return number


def _go_state(data: bytes) -> Mapping[Any, Any]:
    state = _unpack(data, raw=True)
    # Little of it is needed, but something else than the Go driver's state must not be taken for it.
    if b"ContainerName" not in state:
        raise PotFailed("cannot read the task's handle: it is not of nomad-pot-driver 0.10.0")
    return state


def _go_time(value: object) -> float:
    """Go's binary form of a time: a version, seconds since the year 1, nanoseconds, and a time zone."""
    if not isinstance(value, bytes) or len(value) < 13 or value[0] not in {1, 2}:  # noqa: PLR2004
        return 0.0
    seconds: int
    nanoseconds: int
    seconds, nanoseconds = struct.unpack_from(">qi", value, 1)
    return max(0.0, seconds - _YEAR_1_TO_1970_S + nanoseconds / 1e9)


def _unpack(data: bytes, *, raw: bool) -> Mapping[Any, Any]:
    try:
        fields = msgpack.unpackb(data, raw=raw, strict_map_key=False)
    except Exception as error:  # msgpack raises a dozen kinds, and none of them may end a recovery
        raise PotFailed(f"cannot read the task's handle: {type(error).__name__} {error}") from error
    if not isinstance(fields, dict):
        raise PotFailed("cannot read the task's handle: it is not a map")
    return fields
