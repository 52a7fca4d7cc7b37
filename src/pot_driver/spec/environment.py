"""The variables that the task sees.

Not here: how they get into the pot (see `plan.scripts`).
"""

from __future__ import annotations

import re

from pot_driver.spec.draft import Draft
from pot_driver.spec.values import Environment, Network

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def environment(draft: Draft, network: Network) -> Environment:
    """Nomad's variables without those that a shell cannot export, with the ports that the app must listen on."""
    given = {**draft.task.env, **draft.task.device_env}
    dropped = sorted(name for name, value in given.items() if not _exportable(name, value))
    variables = {name: given[name] for name in sorted(given) if name not in dropped}
    if network.own_address:
        for export in network.exports:
            label = re.sub(r"[^A-Za-z0-9_]", "_", export.label)
            variables[f"NOMAD_PORT_{label}"] = str(export.pot_port)
            if f"NOMAD_ALLOC_PORT_{label}" in variables:
                variables[f"NOMAD_ALLOC_PORT_{label}"] = str(export.pot_port)
    return Environment(variables=variables, dropped=tuple(dropped))


def _exportable(name: str, value: str) -> bool:
    if name == "OPTIND" and not value.isdecimal():  # the shell's own counter: anything else ends the shell
        return False
    return bool(_NAME.fullmatch(name)) and "\0" not in value
