"""A configuration, given the plugin's schema, as the agent encodes it: checked, converted, complete, msgpack.

Every attribute of the schema is there, nil when unset; an unknown key is refused in Nomad's words.

Not here: our own option tables (see `config`); this room knows only what the plugin says over the wire.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import msgpack

from pot_driver.errors import ConfigError
from pot_driver.operator.places import suggestion

if TYPE_CHECKING:
    from pot_driver._proto.plugins.shared.hclspec.hcl_spec_pb2 import Attr, Spec

_TYPE = re.compile(r"\s*(string|number|bool|any|list|set|map)\s*(?:\((.*)\))?\s*", re.DOTALL)


def encode(spec: Spec, config: Mapping[str, object]) -> bytes:
    """`config` in the JSON form of a job or of a plugin block → msgpack_config, or every problem in it."""
    problems: list[str] = []
    value = _object(spec, config, problems)
    if problems:
        raise ConfigError(problems)
    packed: bytes = msgpack.packb(_packable(value))
    return packed


def _object(spec: Spec, config: Mapping[str, object], problems: list[str]) -> dict[str, object]:
    members = dict(spec.object.attributes)
    names = {_name(member, key): key for key, member in members.items()}
    problems.extend(
        f'Invalid label: No argument or block type is named "{key}"; known are {", ".join(sorted(names))}'
        f"{suggestion(key, names)}"
        for key in config
        if key not in names
    )
    return {key: _member(member, key, config, problems) for key, member in sorted(members.items())}


def _name(spec: Spec, key: str) -> str:
    """The word in the configuration: inside a Default it is spelled out, elsewhere it may be the key."""
    while spec.HasField("default"):
        spec = spec.default.primary
    kind = spec.WhichOneof("block")
    return (getattr(getattr(spec, kind), "name", "") if kind else "") or key


def _member(spec: Spec, key: str, config: Mapping[str, object], problems: list[str]) -> object:
    kind = spec.WhichOneof("block")
    name = _name(spec, key)
    if kind == "default":
        value = _member(spec.default.primary, key, config, problems)
        return _member(spec.default.default, key, config, problems) if value is None else value
    if kind == "literal":
        return json.loads(spec.literal.value)
    if kind == "Attr":
        return _attribute(spec.Attr, name, config.get(name), problems)
    return _block(spec, name, _blocks(name, config.get(name), problems), problems)


def _block(spec: Spec, name: str, blocks: list[Mapping[str, object]], problems: list[str]) -> object:
    match spec.WhichOneof("block"):
        case "block_value":
            if len(blocks) > 1:
                problems.append(f'Duplicate {name} block; Only one block of type "{name}" is allowed')
            return _object(spec.block_value.nested, blocks[0], problems) if blocks else None
        case "block_list":
            return [_object(spec.block_list.nested, block, problems) for block in blocks]
        case "block_attrs":
            merged = {key: value for block in blocks for key, value in block.items()}
            type_text = f"map({spec.block_attrs.type})"
            return _converted(type_text, merged, name, problems) if blocks else None
        case kind:
            problems.append(f'the schema of "{name}" is of kind {kind}, which this host cannot read')
            return None


def _attribute(attr: Attr, name: str, value: object, problems: list[str]) -> object:
    if value is None:
        if attr.required:
            problems.append(f'Missing required argument: The argument "{name}" is required, but was not set')
        return None
    return _converted(attr.type, value, name, problems)


def _blocks(name: str, value: object, problems: list[str]) -> list[Mapping[str, object]]:
    """A block arrives as an object or, as Nomad's job parser leaves it, as a list of objects."""
    given = [] if value is None else value if isinstance(value, list) else [value]
    blocks = [block for block in given if isinstance(block, Mapping)]
    if len(blocks) == len(given):
        return blocks
    problems.append(f'Incorrect attribute value type: "{name}" must be a block, not {value!r}')
    return []


def _converted(type_text: str, value: object, where: str, problems: list[str]) -> object:
    try:
        return convert(type_text, value)
    except ValueError as why:
        problems.append(f'Incorrect attribute value type: Inappropriate value for attribute "{where}": {why}')
        return None


def convert(type_text: str, value: object) -> object:
    """`value` as a value of this HCL type, by the conversions that cty allows; ValueError says why not."""
    match = _TYPE.fullmatch(type_text)
    if not match:
        raise ValueError(f"the schema's type {type_text!r} is none that this host can read")
    kind, inner = match[1], match[2]
    if value is None or kind == "any":
        return value
    if kind in {"list", "set"}:
        if not isinstance(value, list):
            raise ValueError(f"{type_text} required, not {value!r}")
        return [convert(inner, item) for item in value]
    if kind == "map":
        if not isinstance(value, Mapping):
            raise ValueError(f"{type_text} required, not {value!r}")
        return {str(key): convert(inner, item) for key, item in value.items()}
    return _primitive(kind, value)


def _primitive(kind: str, value: object) -> object:
    converted: object = None
    match kind, value:
        case ("string", str()) | ("bool", bool()):
            converted = value
        case "string", bool():
            converted = "true" if value else "false"
        case "string", int() | float() | Decimal():
            converted = format(Decimal(str(value)).normalize(), "f")
        case "bool", "true" | "false":
            converted = value == "true"
        case "number", int() | float() | Decimal() | str() if not isinstance(value, bool):
            with suppress(InvalidOperation):
                converted = Decimal(str(value))
    if converted is None:
        raise ValueError(f"{kind} required, not {value!r}")
    return converted


def _packable(value: object) -> object:
    """A number is an int if it is one, a float if it is exactly one, else its digits as a string."""
    match value:
        case Decimal():
            if value == value.to_integral_value() and -(2**63) <= value < 2**63:
                return int(value)
            return float(value) if Decimal(float(value)) == value else format(value, "f")
        case list():
            return [_packable(item) for item in value]
        case Mapping():
            return {key: _packable(item) for key, item in value.items()}
    return value
