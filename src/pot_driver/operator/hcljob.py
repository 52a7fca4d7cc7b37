"""HCL's words for a job → the names of Nomad's API JSON.

Not here: what of it can be used (see `jobfile`), HCL's syntax (see `hcl`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pot_driver.errors import ConfigError
from pot_driver.operator.hcl import Block, Body, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

# Words whose API name is not the word in CamelCase; blocks that may be repeated are lists there.
_NAMES = {
    "id": "ID", "ui": "UI", "cpu": "CPU", "memory": "MemoryMB", "memory_max": "MemoryMaxMB", "dns": "DNS",
    "static": "Value",
    "logs": "LogConfig", "restart": "RestartPolicy", "reschedule": "ReschedulePolicy", "numa": "NUMA",
    "parameterized": "ParameterizedJob", "csi_plugin": "CSIPluginConfig",
}  # fmt: skip
_NAMES_IN_TEMPLATE = {
    "data": "EmbeddedTmpl", "destination": "DestPath", "source": "SourcePath", "env": "Envvars",
    "left_delimiter": "LeftDelim", "right_delimiter": "RightDelim",
}  # fmt: skip
_REPEATED = {
    "action": "Actions", "affinity": "Affinities", "artifact": "Artifacts", "constraint": "Constraints",
    "device": "Devices", "identity": "Identities", "scaling": "ScalingPolicies", "secret": "Secrets",
    "service": "Services", "spread": "Spreads", "template": "Templates", "volume": "Volumes",
    "volume_mount": "VolumeMounts",
}  # fmt: skip


_WORDS = {api: word for word, api in (_NAMES | _NAMES_IN_TEMPLATE | _REPEATED).items()}


def word(api: str) -> str:
    """HCL's word for a name of the API."""
    return _WORDS.get(api) or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", api).lower()


def load(text: str, variables: Mapping[str, str], values: Mapping[str, object] | None = None) -> dict[str, object]:
    """The one job of an HCL file in API form. `values`: those of variables files."""
    jobs = list(parse(text, variables, values).blocks)
    if [block.type for block in jobs] != ["job"] or len(jobs[0].labels) != 1:
        raise ConfigError(['a job file has one block: job "NAME" { … } (beside variable and locals)'])
    return _job(jobs[0])


def _job(block: Block) -> dict[str, object]:
    api: dict[str, object] = {"ID": block.labels[0], "Name": block.labels[0]}
    api |= _plain(block.body, {"group", "task", "meta"})
    api["Meta"] = _flat(block.body, "meta")
    groups = [_group(group) for group in block.body.each("group")]
    # A task right below the job is a group of one.
    groups += [{"Name": task.labels[0], "Tasks": [_task(task)]} for task in block.body.each("task")]
    return api | {"TaskGroups": groups}


def _group(block: Block) -> dict[str, object]:
    return _plain(block.body, {"task", "network", "meta"}) | {
        "Name": _label(block),
        "Meta": _flat(block.body, "meta"),
        "Networks": [_network(network) for network in block.body.each("network")],
        "Tasks": [_task(task) for task in block.body.each("task")],
    }


def _task(block: Block) -> dict[str, object]:
    return _plain(block.body, {"config", "env", "meta", "resources"}) | {
        "Name": _label(block),
        "Config": config(block.body),
        "Env": _flat(block.body, "env"),
        "Meta": _flat(block.body, "meta"),
        "Resources": _resources(block.body),
    }


def _resources(body: Body) -> dict[str, object]:
    api: dict[str, object] = {}
    for block in body.each("resources"):
        api |= _plain(block.body, {"network"})
        api["Networks"] = [_network(network) for network in block.body.each("network")]
    return api


def _network(block: Block) -> dict[str, object]:
    ports = [_plain(port.body, set()) | {"Label": _label(port)} for port in block.body.each("port")]
    return _plain(block.body, {"port"}) | {
        "ReservedPorts": [port for port in ports if port.get("Value")],
        "DynamicPorts": [port for port in ports if not port.get("Value")],
    }


def config(body: Body) -> dict[str, object]:
    """Blocks, and attributes written as `x = { … }`, become lists of maps, as Nomad's job parser makes them."""
    merged: dict[str, object] = {}
    for block in body.each("config"):
        merged |= _config_body(block.body)
    return merged


def _config_body(body: Body) -> dict[str, object]:
    found = {name: [value] if name in body.objects else value for name, value in body.attributes.items()}
    for block in body.blocks:
        inner: object = _config_body(block.body)
        for label in reversed(block.labels):
            inner = [{label: inner}]
        blocks = found.setdefault(block.type, [])
        if not isinstance(blocks, list):
            raise ConfigError([f"{block.type} is both an attribute and a block"])
        blocks.extend(inner if isinstance(inner, list) else [inner])
    return found


def _flat(body: Body, name: str) -> dict[str, object]:
    """`env { A = 1 }` or `env = { A = 1 }`."""
    attribute = body.attributes.get(name)
    flat = dict(attribute) if isinstance(attribute, dict) else {}
    for block in body.each(name):
        flat |= block.body.attributes
    return flat


def _plain(body: Body, treated: set[str], within: str = "") -> dict[str, object]:
    """All that needs no treatment of its own, by its API name."""
    api = {_name(key, within): value for key, value in body.attributes.items() if key not in treated}
    for block in body.blocks:
        if block.type in treated:
            continue
        inner = _plain(block.body, set(), block.type)
        if block.labels:
            inner["Name"] = block.labels[0]
        if block.type in _REPEATED:
            repeated = api.setdefault(_REPEATED[block.type], [])
            if isinstance(repeated, list):
                repeated.append(inner)
        else:
            api[_name(block.type, within)] = inner or {"": True}  # an empty block was said, too
    return api


def _name(word: str, within: str) -> str:
    names = _NAMES_IN_TEMPLATE if within == "template" else _NAMES
    return names.get(word) or "".join(part.capitalize() for part in word.split("_"))


def _label(block: Block) -> str:
    if len(block.labels) != 1:
        raise ConfigError([f"a {block.type} block has one label, its name"])
    return block.labels[0]
