"""A job file → `Job`: Nomad's API JSON, or HCL when the extra `hcl` is installed.

What the file says is used, or named in `left_to_nomad`, or refused by name: nothing is ignored in silence.

Not here: HCL's syntax and words (see `hcl`, `hcljob`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from pot_driver.errors import ConfigError
from pot_driver.model import Dns
from pot_driver.operator import hcljob
from pot_driver.operator.job import Group, Job, PortAsk, Task, TaskResources, Template
from pot_driver.operator.template import unknown_actions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Api = Mapping[str, object]

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")

# What the agent and the servers do around a task; the task itself runs the same without.
_NOMADS = {
    "job": {
        "Affinities", "Constraints", "Migrate", "Multiregion", "Periodic", "Reschedule", "Spreads", "UI",
        "Update", "VersionTag", "Type", "Priority", "Datacenters", "NodePool", "AllAtOnce",
    },
    "group": {
        "Affinities", "Constraints", "Count", "Disconnect", "EphemeralDisk", "MaxClientDisconnect", "Migrate",
        "PreventRescheduleOnLost", "ReschedulePolicy", "RestartPolicy", "Scaling", "Services",
        "ShutdownDelay", "Spreads", "StopAfterClientDisconnect", "Update",
    },
    "task": {
        "Affinities", "Constraints", "Identities", "Identity", "LogConfig", "RestartPolicy", "Schedule",
        "Services", "ShutdownDelay",
    },
}  # fmt: skip
# Not worth a word: every job has them, or the servers keep their books in them.
_QUIET = {
    "AllAtOnce", "CreateIndex", "Datacenters", "Dispatched", "EphemeralDisk", "JobModifyIndex", "LogConfig",
    "Migrate", "ModifyIndex", "NodePool", "NomadTokenID", "ParentID", "Priority", "Stable", "Status",
    "StatusDescription", "Stop", "SubmitTime", "Type", "Version",
}  # fmt: skip
# What would change the task if it were left out.
_REFUSED = {
    "Actions": "actions", "Artifacts": "artifact", "CSIPluginConfig": "csi_plugin", "Connect": "connect",
    "Consul": "consul", "Devices": "device", "DispatchPayload": "dispatch_payload", "Gateway": "gateway",
    "Kind": "kind", "Lifecycle": "lifecycle", "NUMA": "numa", "ParameterizedJob": "parameterized",
    "ScalingPolicies": "scaling", "Secrets": "secret", "Vault": "vault", "VolumeMounts": "volume_mount",
    "Volumes": "volume",
}  # fmt: skip


def read(path: Path, variables: Mapping[str, str]) -> Job:
    """Read a job file; ConfigError has every problem found."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as why:
        raise ConfigError([f"cannot read the job {path}: {why}"]) from why
    if text.lstrip().startswith("{"):
        try:
            api = json.loads(text, parse_float=Decimal)
        except ValueError as why:
            raise ConfigError([f"{path}: not JSON: {why}"]) from why
        return from_api(api.get("Job", api))
    return from_api(hcljob.load(text, variables))


def from_api(api: Api) -> Job:
    """Nomad's API form → Job."""
    reader = _Reader()
    job = reader.job(api)
    if reader.problems:
        raise ConfigError(reader.problems)
    return job


def duration_s(value: object, default: float) -> float:
    """Nanoseconds, or Go's duration text ("1m30s")."""
    if value is None:
        return default
    if isinstance(value, str):
        parts = _DURATION_PART.findall(value)
        if not parts or "".join(number + unit for number, unit in parts) != value:
            raise ConfigError([f'not a duration: "{value}" (like "30s" or "1m30s")'])
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    if isinstance(value, int):
        return value * 1e-9
    raise ConfigError([f"not a duration: {value!r}"])


class _Reader:
    def __init__(self) -> None:
        self.problems: list[str] = []
        self._left: dict[str, None] = {}  # an ordered set

    def job(self, api: Api) -> Job:
        used = {"ID", "Name", "Namespace", "Region", "TaskGroups", "Meta"}
        self._sort_out("job", "job", api, used)
        groups = tuple(self._group(group) for group in _list(api, "TaskGroups"))
        if not groups:
            self.problems.append("the job has no group")
        name = str(api.get("ID") or api.get("Name") or "")
        if not name:
            self.problems.append("the job has no ID")
        return Job(
            id=name,
            name=str(api.get("Name") or name),
            namespace=str(api.get("Namespace") or "default"),
            region=str(api.get("Region") or "global"),
            datacenter=_datacenter(api.get("Datacenters")),
            meta=_strings(api.get("Meta")),
            groups=groups,
            left_to_nomad=tuple(self._left),
        )

    def _group(self, api: Api) -> Group:
        where = f'group "{api.get("Name")}"'
        self._sort_out("group", where, api, {"Name", "Tasks", "Networks", "Meta"})
        if (count := api.get("Count")) not in {None, 1}:
            self._left[f"{where}: count = {count} (one allocation is run)"] = None
        ports, dns = self._networks(where, _list(api, "Networks"))
        return Group(
            name=str(api.get("Name") or ""),
            tasks=tuple(self._task(task) for task in _list(api, "Tasks")),
            ports=ports,
            dns=dns,
            meta=_strings(api.get("Meta")),
        )

    def _networks(self, where: str, networks: Sequence[Api]) -> tuple[tuple[PortAsk, ...], Dns | None]:
        ports: list[PortAsk] = []
        dns = None
        for network in networks:
            mode = network.get("Mode") or "host"
            if mode not in {"host", "none"}:
                self.problems.append(
                    f'{where}: network mode = "{mode}": FreeBSD clients have only "host" '
                    "(a pot's own network is the task's network_mode)"
                )
            asked = [*_list(network, "ReservedPorts"), *_list(network, "DynamicPorts")]
            ports.extend(
                PortAsk(
                    label=str(port.get("Label")),
                    static=_int(port.get("Value")),
                    to=_int(port.get("To")),
                )
                for port in asked
            )
            if isinstance(said := network.get("DNS"), Mapping):
                dns = Dns(
                    servers=tuple(said.get("Servers") or ()),
                    searches=tuple(said.get("Searches") or ()),
                    options=tuple(said.get("Options") or ()),
                )
        return tuple(ports), dns

    def _task(self, api: Api) -> Task:
        where = f'task "{api.get("Name")}"'
        used = {
            "Name", "Driver", "Config", "Env", "Meta", "Templates", "Resources", "User", "KillTimeout",
            "KillSignal", "Leader",
        }  # fmt: skip
        self._sort_out("task", where, api, used)
        logs = api.get("LogConfig")
        return Task(
            name=str(api.get("Name") or ""),
            driver=str(api.get("Driver") or ""),
            config=_mapping(api.get("Config")),
            env=_strings(api.get("Env")),
            meta=_strings(api.get("Meta")),
            templates=tuple(self._template(where, one) for one in _list(api, "Templates")),
            resources=self._resources(where, _mapping(api.get("Resources"))),
            user=str(api.get("User") or ""),
            kill_timeout_s=self._duration(f"{where}: kill_timeout", api.get("KillTimeout"), 5.0),
            kill_signal=str(api.get("KillSignal") or ""),
            leader=bool(api.get("Leader")),
            logs_disabled=isinstance(logs, Mapping) and bool(logs.get("Disabled")),
        )

    def _resources(self, where: str, api: Api) -> TaskResources:
        self._refuse(f"{where}: resources", api)
        legacy, _ = self._networks(where, _list(api, "Networks"))
        cores = _int(api.get("Cores"))
        return TaskResources(
            cpu_mhz=_int(api.get("CPU")) or (0 if cores else 100),
            cores=cores,
            memory_mb=_int(api.get("MemoryMB")) or 300,
            memory_max_mb=_int(api.get("MemoryMaxMB")),
            legacy_ports=legacy,
        )

    def _template(self, where: str, api: Api) -> Template:
        data = str(api.get("EmbeddedTmpl") or "")
        destination = str(api.get("DestPath") or "")
        where = f'{where}: template "{destination}"'
        if api.get("SourcePath"):
            self.problems.append(f"{where}: source needs Nomad; only data can be used here")
        left, right = api.get("LeftDelim") or "{{", api.get("RightDelim") or "}}"
        if (left, right) != ("{{", "}}"):
            self.problems.append(f"{where}: other delimiters need Nomad")
        self.problems.extend(
            f'{where}: {action} needs Nomad (known here: {{{{ env "NAME" }}}})' for action in unknown_actions(data)
        )
        return Template(
            data=data,
            destination=destination,
            env=bool(api.get("Envvars")),
            perms=int(str(api.get("Perms") or "0644"), 8),
        )

    def _duration(self, where: str, value: object, default: float) -> float:
        try:
            return duration_s(value, default)
        except ConfigError as error:
            self.problems.extend(f"{where}: {problem}" for problem in error.problems)
            return default

    def _sort_out(self, level: str, where: str, api: Api, used: set[str]) -> None:
        self._refuse(where, api)
        prefix = "" if level == "job" else f"{where}: "
        for key, value in api.items():
            if not value or key in used or key in _REFUSED or key in _QUIET or key == "Count":
                continue
            if key in _NOMADS[level]:
                self._left[prefix + _snake(key)] = None
            else:
                self.problems.append(f"{where}: {_snake(key)} is not known here")

    def _refuse(self, where: str, api: Api) -> None:
        self.problems.extend(
            f"{where}: {word} needs Nomad: it cannot be run without" for key, word in _REFUSED.items() if api.get(key)
        )


def _snake(key: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower()


def _list(api: Api, key: str) -> Sequence[Api]:
    value = api.get(key)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _strings(value: object) -> Mapping[str, str]:
    return {str(k): hcljob.text_of(v) for k, v in _mapping(value).items() if v is not None}


def _int(value: object) -> int:
    return int(value) if isinstance(value, int | str | Decimal) and value != "" else 0


def _datacenter(value: object) -> str:
    first = str(value[0]) if isinstance(value, list) and value else "dc1"
    return "dc1" if "*" in first else first
