"""A job file → `Job`: Nomad's API JSON, or HCL where Nomad or the extra `hcl` is installed.

What the file says is used, or named in `left_to_nomad` or `needs_nomad`, or refused: nothing is ignored in silence.

Not here: HCL's syntax and words (see `hcl`, `hcljob`), the types of fields (see `fields`).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

from pot_driver.errors import ConfigError
from pot_driver.model import Dns
from pot_driver.operator import hcl, hcljob, nomadhcl, places
from pot_driver.operator.fields import Fields
from pot_driver.operator.hcljob import word
from pot_driver.operator.job import Group, Job, PortAsk, Task, TaskResources, Template, VolumeMount
from pot_driver.operator.places import suggestion
from pot_driver.operator.template import unknown_actions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_MODE = re.compile("[0-7]{1,4}")

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
_NEEDED = (
    "Actions", "Artifacts", "CSIPluginConfig", "Connect", "Consul", "Devices", "DispatchPayload", "Gateway", "Kind",
    "Lifecycle", "NUMA", "ParameterizedJob", "ScalingPolicies", "Secrets", "Vault", "VolumeMounts", "Volumes",
)  # fmt: skip


def read(path: Path, variables: Mapping[str, str], files: Sequence[Path] = ()) -> Job:
    """Read a job file, HCL by Nomad itself where it is installed; ConfigError has every problem found, with its place.

    `variables` go before those in `files`, which go before NOMAD_VAR_NAME in the environment.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as why:
        raise ConfigError([f"cannot read the job {path}: {why}"]) from why
    if text.lstrip().startswith("{"):
        if variables or files:
            raise ConfigError([f"{path} is JSON, which has no variables: --var and --var-file are for HCL"])
        return _placed(path, text, lambda: from_api(_json(text)))
    if nomad := nomadhcl.available():
        api = nomadhcl.load(nomad, path, variables, files)
        return _placed(path, text, lambda: from_api(api))
    return _placed(path, text, lambda: from_api(hcljob.load(text, variables, hcl.assigned(files))))


def _json(text: str) -> object:
    try:
        api = json.loads(text, parse_float=Decimal)
    except ValueError as why:
        raise ConfigError([f"not JSON: {why}"]) from why
    return api.get("Job", api) if isinstance(api, dict) else api


def _placed(path: Path, text: str, reading: Callable[[], Job]) -> Job:
    try:
        return reading()
    except ConfigError as error:
        raise ConfigError([places.placed(path, text, problem) for problem in error.problems]) from error


def from_api(api: object) -> Job:
    """Nomad's API form → Job."""
    reader = _Reader()
    job = reader.job(Fields(api, "job", reader.problems))
    if reader.problems:
        raise ConfigError(reader.problems)
    return job


class _Reader:
    def __init__(self) -> None:
        self.problems: list[str] = []
        self._left: dict[str, None] = {}  # an ordered set
        self._needs: list[str] = []

    def job(self, api: Fields) -> Job:
        used = {"ID", "Name", "Namespace", "Region", "TaskGroups", "Meta"}
        self._sort_out("job", api, used)
        groups = tuple(self._group(_named("group", group)) for group in api.blocks("TaskGroups"))
        self._once("group", [group.name for group in groups])
        name = api.text("ID") or api.text("Name")
        if not name:
            api.problem("there is no ID")
        if not groups:
            api.problem("there is no group")
        elif not self.problems and not any(group.tasks for group in groups):
            api.problem('there is no task with driver = "pot"')
        return Job(
            id=name,
            name=api.text("Name") or name,
            namespace=api.text("Namespace") or "default",
            region=api.text("Region") or "global",
            datacenter=_datacenter(api.texts("Datacenters")),
            meta=api.strings("Meta"),
            groups=tuple(group for group in groups if group.tasks),
            left_to_nomad=tuple(self._left),
            needs_nomad=tuple(self._needs),
        )

    def _group(self, api: Fields) -> Group:
        self._sort_out("group", api, {"Name", "Tasks", "Networks", "Meta", "Count"})
        if (count := api.integer("Count")) > 1:
            self._left[f"{api.where}: count = {count} (one allocation is run)"] = None
        tasks = [_named("task", task) for task in api.blocks("Tasks")]
        if not tasks:
            api.problem("there is no task in it")
        self._once("task", [task.text("Name") for task in tasks])
        ports, dns = self._networks(api)
        return Group(
            name=api.text("Name"),
            tasks=tuple(self._task(task) for task in tasks if self._is_ours(task)),
            ports=ports,
            dns=dns,
            meta=api.strings("Meta"),
        )

    def _is_ours(self, task: Fields) -> bool:
        driver = task.text("Driver")
        if not driver:
            task.problem("driver must be given")
        elif driver != "pot":
            self._left[f'{task.where}, which has driver = "{driver}"'] = None
        return driver == "pot"

    def _networks(self, api: Fields) -> tuple[tuple[PortAsk, ...], Dns | None]:
        ports: list[PortAsk] = []
        dns = None
        for network in api.blocks("Networks"):
            mode = network.text("Mode") or "host"
            if mode not in {"host", "none"}:
                network.problem(
                    f'network mode = "{mode}": FreeBSD clients have only "host" '
                    "(a pot's own network is the task's network_mode)"
                )
            asked = [*network.blocks("ReservedPorts"), *network.blocks("DynamicPorts")]
            ports.extend(_port(port.at(f'{api.where}: port "{port.text("Label")}"')) for port in asked)
            if "DNS" in network:
                said = network.block("DNS")
                dns = Dns(servers=said.texts("Servers"), searches=said.texts("Searches"), options=said.texts("Options"))
        return tuple(ports), dns

    def _task(self, api: Fields) -> Task:
        used = {
            "Name", "Driver", "Config", "Env", "Meta", "Templates", "Resources", "User", "KillTimeout",
            "KillSignal", "Leader",
        }  # fmt: skip
        self._sort_out("task", api, used)
        return Task(
            name=api.text("Name"),
            config=api.mapping("Config"),
            env=api.strings("Env"),
            meta=api.strings("Meta"),
            templates=tuple(self._template(one) for one in api.blocks("Templates")),
            volume_mounts=tuple(_volume_mount(one) for one in api.blocks("VolumeMounts")),
            resources=self._resources(api.block("Resources")),
            user=api.text("User"),
            kill_timeout_s=api.seconds("KillTimeout", 5.0),
            kill_signal=api.text("KillSignal"),
            leader=api.flag("Leader"),
            logs_disabled=api.block("LogConfig").flag("Disabled"),
        )

    def _resources(self, api: Fields) -> TaskResources:
        self._need(api)
        legacy, _ = self._networks(api)
        cores = api.integer("Cores")
        return TaskResources(
            cpu_mhz=api.integer("CPU") or (0 if cores else 100),
            cores=cores,
            memory_mb=api.integer("MemoryMB") or 300,
            memory_max_mb=api.integer("MemoryMaxMB"),
            legacy_ports=legacy,
        )

    def _template(self, api: Fields) -> Template:
        destination = api.text("DestPath")
        api = api.at(f'{api.where}: template "{destination}"')
        data = api.text("EmbeddedTmpl")
        if "SourcePath" in api:
            self._needs.append(f"{api.where}: source")
        if (api.text("LeftDelim") or "{{", api.text("RightDelim") or "}}") != ("{{", "}}"):
            self._needs.append(f"{api.where}: a delimiter other than {{{{ and }}}}")
        self._needs.extend(f"{api.where}: {action}" for action in unknown_actions(data))
        perms = api.text("Perms") or "0644"
        if not _MODE.fullmatch(perms):
            api.problem(f'perms: "{perms}" is not a mode such as "0644"')
            perms = "0"
        return Template(data=data, destination=destination, env=api.flag("Envvars"), perms=int(perms, 8))

    def _sort_out(self, level: str, api: Fields, used: set[str]) -> None:
        self._need(api)
        prefix = "" if level == "job" else f"{api.where}: "
        for key in api:
            if key in used or key in _NEEDED or key in _QUIET:
                continue
            if key in _NOMADS[level]:
                self._left[prefix + word(key)] = None
            else:
                api.problem(f"{word(key)} is not known here{suggestion(word(key), map(word, used | _NOMADS[level]))}")

    def _need(self, api: Fields) -> None:
        self._needs.extend(f"{api.where}: {word(key)}" for key in _NEEDED if key in api)

    def _once(self, kind: str, names: Sequence[str]) -> None:
        self.problems.extend(
            f'{kind} "{name}" is there {times} times' for name, times in Counter(names).items() if times > 1
        )


def _named(kind: str, api: Fields) -> Fields:
    return api.at(f'{kind} "{api.text("Name")}"')


def _port(api: Fields) -> PortAsk:
    return PortAsk(label=api.text("Label"), static=api.integer("Value"), to=api.integer("To"))


def _volume_mount(api: Fields) -> VolumeMount:
    return VolumeMount(volume=api.text("Volume"), destination=api.text("Destination"), read_only=api.flag("ReadOnly"))


def _datacenter(names: Sequence[str]) -> str:
    first = names[0] if names else "dc1"
    return "dc1" if "*" in first else first
