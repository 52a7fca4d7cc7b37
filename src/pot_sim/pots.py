"""Which pots there are, and what may be said of one before anything is done with it.

Not here: whether its jail lives (`jail`), what its configuration says (`conf`).
"""

from __future__ import annotations

import os

from pot_sim import conf, zfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pot_sim.root import Root
    from pot_sim.session import Pot


def problem(root: Root, name: str) -> str:
    """Why this is no pot; empty if it is one."""
    directory = root.jail(name)
    if not os.path.isdir(directory):
        return f"Pot {name} not found"
    if not zfs.exists(root, "jails/" + name):
        return f"zfs dataset {name} not found"
    if not os.path.isdir(directory + "/m") or not os.access(conf.path(root, name), os.R_OK):
        return f"Some component of the pot {name} is missing"
    if conf.pot_type(root, name) == "multi" and not os.access(conf.fscomp_path(root, name), os.R_OK):
        return f"Some component of the pot {name} is missing"
    return ""


def exists(root: Root, name: str) -> bool:
    return not problem(root, name)


def check(pot: Pot, name: str) -> bool:
    """As `exists`, with pot's own error."""
    found = problem(pot.root, name)
    if found:
        pot.not_found(found)
    return not found


def is_running(root: Root, name: str) -> bool:
    from pot_sim import registry  # noqa: PLC0415 (not every command asks)

    return bool(name) and registry.running(root.run, name) is not None


def names(root: Root) -> list[str]:
    """Every directory in `jails`, images and half-made pots included; a name with a blank becomes two."""
    try:
        entries = sorted(os.listdir(root.jails), key=lambda entry: os.fsencode(entry + "/"))  # as `ls -d jails/*/`
    except FileNotFoundError:
        return []
    found = (entry for entry in entries if entry[0] != "." and os.path.isdir(root.jail(entry)))
    return " ".join(found).split()


def bridges(root: Root) -> list[str]:
    try:
        return " ".join(sorted(os.listdir(root.bridges))).split()
    except FileNotFoundError:
        return []


def valid_name(name: str) -> bool:
    """The only rule that pot itself has."""
    return "." not in name


def hostname(root_host: str, name: str, longest: int) -> str:
    """The host's name behind the pot's while that fits, else the pot's own, cut."""
    if len(name) > longest:
        return name.split(maxsplit=1)[0][:longest] if name.split() else ""
    full = f"{name}.{root_host}"
    return name if len(full) > longest else full


def anchor(name: str) -> str:
    """The pot's pf anchor: its last 55 characters, without leading underscores, if it is longer."""
    if len(name) <= 55:
        return name
    return name.split(maxsplit=1)[0][-55:].lstrip("_")
