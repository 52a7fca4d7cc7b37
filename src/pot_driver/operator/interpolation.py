"""`${…}` in a job's strings, as the Nomad client replaces it when the task starts.

Not here: HCL's own expressions, which are evaluated when the job file is read (see `hcl`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pot_driver.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_REFERENCE = re.compile(r"\$\{([A-Za-z0-9_.-]+)\}")
_TEMPLATE = re.compile(r"\$\$\{|%%\{|\$\{([^}]*)\}|%\{")
_CLIENTS = ("attr.", "device.", "meta.", "node.")
_ENV_INDEX = re.compile(r'env\["([^"]+)"\]')


def replace(text: str, variables: Mapping[str, str]) -> str:
    """In env, templates' paths and the like: what is not known stays as it is."""
    return _REFERENCE.sub(lambda match: variables.get(match[1], match[0]), text)


def expand(value: object, variables: Mapping[str, str], where: str) -> object:
    """In a task's `config`: every string at any depth; what is not known is an error, as for Nomad."""
    if isinstance(value, str):
        return _expand_text(value, variables, where)
    if isinstance(value, list):
        return [expand(item, variables, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, dict):
        return {key: expand(item, variables, f"{where}.{key}") for key, item in value.items()}
    return value


def _expand_text(text: str, variables: Mapping[str, str], where: str) -> str:
    def one(match: re.Match[str]) -> str:
        if match[0] in {"$${", "%%{"}:
            return match[0][1:]
        name = (match[1] or "").strip()
        if index := _ENV_INDEX.fullmatch(name):
            name = index[1]
        if name in variables:
            return variables[name]
        whose = "; a Nomad client may know it" if name.startswith(_CLIENTS) else ""
        raise ConfigError([f'{where}: Unknown variable; There is no variable "{match[0]}"{whose}'])

    return _TEMPLATE.sub(one, text)
