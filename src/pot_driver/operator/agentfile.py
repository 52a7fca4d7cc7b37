"""An agent's configuration file → the `config` of its block `plugin "nomad-pot-driver"`.

Not here: what may be written in it (the plugin says so), HCL's syntax (see `hcl`).
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

from pot_driver.errors import ConfigError
from pot_driver.operator import hcl, hcljob, places

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PLUGIN = "nomad-pot-driver"


def plugin_config(path: Path | None) -> Mapping[str, object]:
    """The block's content; no file is an empty block."""
    if path is None:
        return {}
    plugins = _merged(read(path).get("plugin"))
    if PLUGIN not in plugins:
        raise ConfigError([f'{path} has no block plugin "{PLUGIN}" {{ … }}'])
    return _merged(_merged(plugins[PLUGIN]).get("config"))


def read(path: Path) -> dict[str, object]:
    """All of an agent's file, in JSON's form: blocks are objects, or lists of them, by type and then by label."""
    try:
        text = path.read_text(encoding="utf-8")
        if text.lstrip().startswith("{"):
            return _merged(json.loads(text, parse_float=Decimal))
        return _nested(hcl.parse(text, {}))
    except (OSError, ValueError) as why:
        raise ConfigError([f"cannot read the agent's configuration {path}: {why}"]) from why
    except ConfigError as error:
        raise ConfigError([places.placed(path, text, problem) for problem in error.problems]) from error


def _nested(body: hcl.Body) -> dict[str, object]:
    found = dict(body.attributes)
    for block in body.blocks:
        inner = _nested(block.body)
        if block.type == "plugin":
            inner["config"] = hcljob.config(block.body)
        for label in reversed(block.labels):
            inner = {label: inner}
        known = found.get(block.type)
        twice = isinstance(known, dict) and block.labels and block.labels[0] in known
        if twice and block.type == "plugin":
            raise ConfigError([f'two blocks {block.type} "{block.labels[0]}"'])
        found[block.type] = {**known, **inner} if isinstance(known, dict) else inner
    return found


def _merged(value: object) -> dict[str, object]:
    parts = value if isinstance(value, list) else [value]
    return {key: item for part in parts if isinstance(part, dict) for key, item in part.items()}
