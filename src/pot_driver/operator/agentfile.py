"""An agent's configuration file → the `config` of its block `plugin "nomad-pot-driver"`.

Not here: what may be written in it (the plugin says so), HCL's syntax (see `hcl`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pot_driver.errors import ConfigError
from pot_driver.operator import hcl, hcljob

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PLUGIN = "nomad-pot-driver"


def plugin_config(path: Path | None) -> Mapping[str, object]:
    """The block's content; no file is an empty block."""
    if path is None:
        return {}
    try:
        blocks = hcl.parse(path.read_text(encoding="utf-8"), {}).blocks
    except (OSError, UnicodeDecodeError) as why:
        raise ConfigError([f"cannot read the agent's configuration {path}: {why}"]) from why
    except ConfigError as error:
        raise ConfigError([f"{path}: {problem}" for problem in error.problems]) from error
    ours = [block for block in blocks if block.type == "plugin" and block.labels == (PLUGIN,)]
    if len(ours) != 1:
        raise ConfigError([f'{path} has {len(ours) or "no"} block{"s" * bool(ours)} plugin "{PLUGIN}" {{ … }}'])
    return hcljob.config(ours[0].body)
