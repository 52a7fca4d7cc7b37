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
    try:
        text = path.read_text(encoding="utf-8")
        if text.lstrip().startswith("{"):
            return _of_json(path, json.loads(text, parse_float=Decimal))
        blocks = hcl.parse(text, {}).blocks
    except (OSError, ValueError) as why:
        raise ConfigError([f"cannot read the agent's configuration {path}: {why}"]) from why
    except ConfigError as error:
        raise ConfigError([places.placed(path, text, problem) for problem in error.problems]) from error
    ours = [block for block in blocks if block.type == "plugin" and block.labels == (PLUGIN,)]
    if len(ours) != 1:
        raise ConfigError([f'{path} has {len(ours) or "no"} block{"s" * bool(ours)} plugin "{PLUGIN}" {{ … }}'])
    return hcljob.config(ours[0].body)


def _of_json(path: Path, agent: object) -> Mapping[str, object]:
    """JSON has blocks as objects, or as lists of them, by type and then by label."""
    plugins = _merged(_merged(agent).get("plugin"))
    if PLUGIN not in plugins:
        raise ConfigError([f'{path} has no block plugin "{PLUGIN}"'])
    return _merged(_merged(plugins[PLUGIN]).get("config"))


def _merged(value: object) -> dict[str, object]:
    parts = value if isinstance(value, list) else [value]
    return {key: item for part in parts if isinstance(part, dict) for key, item in part.items()}
