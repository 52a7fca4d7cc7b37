"""The variables that the task sees.

Not here: how they get into the pot (see `plan.scripts`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pot_driver.spec.draft import Draft
from pot_driver.spec.values import Environment, Export, Network

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def environment(draft: Draft, network: Network) -> Environment:
    """Nomad's variables without those that a shell cannot export, with the ports that the app must listen on.

    Of an image's own network nothing is known before it is prepared: then the ports are still the host's.
    """
    given = {**draft.task.env, **draft.task.device_env}
    dropped = sorted(name for name, value in given.items() if not _exportable(name, value))
    variables = {name: given[name] for name in sorted(given) if name not in dropped}
    if network.own_address and network.type is not None:
        variables = listening(variables, network.exports)
    return Environment(variables=variables, dropped=tuple(dropped))


def listening(variables: Mapping[str, str], exports: Sequence[Export]) -> dict[str, str]:
    """The variables of a pot with its own address: the app listens on the port inside."""
    changed = dict(variables)
    for export in exports:
        label = re.sub(r"[^A-Za-z0-9_]", "_", export.label)
        changed[f"NOMAD_PORT_{label}"] = str(export.pot_port)
        if f"NOMAD_ALLOC_PORT_{label}" in changed:
            changed[f"NOMAD_ALLOC_PORT_{label}"] = str(export.pot_port)
    return changed


def _exportable(name: str, value: str) -> bool:
    if name == "OPTIND" and not value.isdecimal():  # the shell's own counter: anything else ends the shell
        return False
    return bool(_NAME.fullmatch(name)) and "\0" not in value
