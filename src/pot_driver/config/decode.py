"""Nomad's msgpack → options, or one ConfigError that carries every problem.

Both flavours are read: cty's (every attribute present, unset = nil, odd numbers as decimal strings) and
go-msgpack's raw one (old string types, only what was set).

Not here: the tables, checks against the host or the rest of the job.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import cast

import msgpack

from pot_driver.config.checks import Unfit, ascii_quoted, shown
from pot_driver.config.tables import PLUGIN_OPTIONS, TASK_OPTIONS, Block, Option
from pot_driver.config.values import PluginConfig, TaskOptions
from pot_driver.errors import ConfigError

Table = Sequence[Option | Block]


_STAND_IN = "unknown"  # of a required option that is missing or wrong, so that the others can be looked at


def decode_task(data: bytes) -> TaskOptions:
    """Decode a job's `config` block."""
    options, problems = read_task(data)
    if problems:
        raise ConfigError(problems)
    return options


def read_task(data: bytes) -> tuple[TaskOptions, tuple[str, ...]]:
    """A job's `config` block as far as it can be read, and what is wrong with the rest."""
    problems: list[str] = []
    values = _block(TASK_OPTIONS, _unpack(data), "", problems)
    for option in TASK_OPTIONS:
        if option.required:
            values.setdefault(option.name, _STAND_IN)
    return cast("Callable[..., TaskOptions]", TaskOptions)(**values), tuple(problems)


def decode_plugin(data: bytes) -> PluginConfig:
    """Decode the agent's `plugin` block. Empty bytes are an empty block."""
    problems: list[str] = []
    values = _block(PLUGIN_OPTIONS, _unpack(data), "", problems)
    if problems:
        raise ConfigError(problems)
    return cast("Callable[..., PluginConfig]", PluginConfig)(**values)


def _unpack(data: bytes) -> object:
    if not data:
        return None
    try:
        return msgpack.unpackb(data, raw=True, strict_map_key=False)
    except (ValueError, TypeError, OverflowError, RecursionError) as err:
        # TypeError: a map key that is itself a map or list
        raise ConfigError([f"the configuration is not the msgpack that Nomad sends: {err}"]) from err


def _block(table: Table, raw: object, where: str, problems: list[str]) -> dict[str, object]:
    """The kept values of one block, without what is unset; problems are added to the list."""
    given = _as_map(raw, where.rstrip(".") or "config", problems)
    known = [entry.name for entry in table]
    problems += [_unknown(where, key, known) for key in given if key not in known]
    values: dict[str, object] = {}
    for entry in table:
        value = given.get(entry.name)
        if isinstance(entry, Block):
            if entry.label:
                values[entry.name] = tuple(_labelled(entry, value, f"{where}{entry.name}", problems))
            elif (made := _made(entry, value, f"{where}{entry.name}.", problems)) is not None:
                values[entry.name] = made
            continue
        try:
            kept = _option(entry, value)
        except Unfit as err:
            problems.append(f"{where}{entry.name}: {err}")
        else:
            if kept is not None:
                values[entry.field or entry.name] = kept
    return values


def _made(block: Block, raw: object, where: str, problems: list[str], **label: object) -> object:
    """The block's value, None when something in it is wrong."""
    before = len(problems)
    inner = _block(block.options, raw, where, problems)
    return block.make(**inner, **label) if len(problems) == before else None


def _labelled(block: Block, raw: object, where: str, problems: list[str]) -> Iterator[object]:
    """One value for each label. An agent that is not strict sends several maps, or lists of bodies."""
    for part in raw if isinstance(raw, list) else [raw]:
        for label, body in _as_map(part, where, problems).items():
            try:
                kept = block.check(label) if block.check else label
            except Unfit as err:
                problems.append(f"{where}: {err}")
                continue
            made = _made(block, body, f"{where}[{ascii_quoted(label)}].", problems, **{block.label: kept})
            if made is not None:
                yield made


def _option(option: Option, raw: object) -> object:
    """The value to keep, None when unset."""
    if raw is None and option.required:
        raise Unfit(f"must be given, for example {option.example}")
    if raw is None and option.default is None:
        return None
    value = _TYPES[option.type](json.loads(option.default or "null") if raw is None else raw)
    return value if option.check is None else option.check(value)


def _as_map(raw: object, what: str, problems: list[str]) -> Mapping[str, object]:
    if isinstance(raw, list) and len(raw) <= 1:  # a block as some hosts encode it
        raw = raw[0] if raw else None
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        problems.append(f"{what}: {shown(_plain(raw))} is not a block of options")
        return {}
    try:
        return {_string(key): value for key, value in raw.items()}
    except Unfit as err:
        problems.append(f"{what}: an option's name is wrong: {err}")
        return {}


def _unknown(where: str, key: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
    return f"{where}{ascii_quoted(key)[1:-1]}: no such option; {hint}"


def _string(raw: object) -> str:
    if isinstance(raw, bytes):
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise Unfit(f"{shown(_plain(raw))} is not UTF-8") from None
        if "\0" in text:
            raise Unfit(f"{shown(text)} contains a NUL byte")
        return text
    if isinstance(raw, str):  # a default
        return raw
    raise Unfit(f"{shown(_plain(raw))} is not a string")


def _number(raw: object) -> int:
    """Whole numbers; cty sends as text what fits neither int64 nor float64."""
    number = raw if isinstance(raw, (int, float)) and not isinstance(raw, bool) else None
    if number is None or number != number or not float(number).is_integer():  # noqa: PLR0124 - NaN
        raise Unfit(f"{shown(_plain(raw))} is not a whole number")
    return int(number)


def _bool(raw: object) -> bool:
    if not isinstance(raw, bool):
        raise Unfit(f"{shown(_plain(raw))} is neither true nor false")
    return raw


def _strings(raw: object) -> tuple[str, ...]:
    if not isinstance(raw, list):
        raise Unfit(f"{shown(_plain(raw))} is not a list of strings")
    return tuple(_string(item) for item in raw)


def _string_map(raw: object) -> Mapping[str, str]:
    """Several maps are one: a job's repeated blocks arrive as a list of maps."""
    merged: dict[str, str] = {}
    for part in raw if isinstance(raw, list) else [raw]:
        if not isinstance(part, dict):
            raise Unfit(f"{shown(_plain(part))} is not a map")
        for raw_key, raw_value in part.items():
            key = _string(raw_key)
            whole = isinstance(raw_value, int) and not isinstance(raw_value, bool)
            value = str(raw_value) if whole else _string(raw_value)
            if merged.setdefault(key, value) != value:
                raise Unfit(f"{shown(key)} is given twice, as {merged[key]} and as {value}")
    return merged


def _plain(raw: object) -> object:
    """The value for a message: text where msgpack gave bytes."""
    if isinstance(raw, bytes):
        return raw.decode(errors="replace")
    return "nothing" if raw is None else raw


_TYPES: Mapping[str, Callable[[object], object]] = {
    "string": _string,
    "number": _number,
    "bool": _bool,
    "list(string)": _strings,
    "list(map(string))": _string_map,
}
