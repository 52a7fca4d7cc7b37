"""The part of `template` blocks that needs no server: text, and `{{ env "NAME" }}`.

Not here: refusing the rest (see `jobfile`), where the file goes (see `allocation`).
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pot_driver.operator.job import Template

ENV_ACTION = re.compile(r'\{\{-?\s*env\s+"([^"]+)"\s*-?\}\}')
ACTION = re.compile(r"\{\{.*?\}\}", re.DOTALL)


def unknown_actions(data: str) -> list[str]:
    """The actions in a template's text that only Nomad can carry out."""
    return [action for action in ACTION.findall(data) if not ENV_ACTION.fullmatch(action)]


def render(template: Template, env: Mapping[str, str]) -> str:
    """The file's text."""
    return ENV_ACTION.sub(lambda match: env.get(match[1], ""), template.data)


def environment(templates: Iterable[Template], env: Mapping[str, str]) -> dict[str, str]:
    """What the templates with `env = true` add to the task's environment."""
    added: dict[str, str] = {}
    for template in templates:
        if template.env:
            for line in render(template, env).splitlines():
                words = line.strip().removeprefix("export ")
                name, assigned, value = words.partition("=")
                if assigned and not words.startswith("#"):
                    added[name.strip()] = _unquoted(value.strip())
    return added


def _unquoted(value: str) -> str:
    if value[:1] in {"'", '"'}:
        return "".join(shlex.split(value))
    return value
