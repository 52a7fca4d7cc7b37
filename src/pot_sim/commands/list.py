"""`pot list`: pots, bridges, file system components.

Not here: what is printed of a pot (`describe`).
"""

from __future__ import annotations

import os

from pot_sim import pots
from pot_sim.session import Pot
from pot_sim.shell import Exit

_OBJECTS = {"p": "pots", "b": "bases", "f": "fscomp", "F": "flavour", "B": "bridges", "a": "all"}


def run(pot: Pot, args: list[str]) -> int:
    wanted, quiet = "", False
    for option, _ in pot.options("list", args, "hvbfFapqB"):
        match option:
            case "q":
                quiet = True
            case _:
                if wanted:
                    raise Exit(pot.usage_error("list", "Options -b -p -f -F -B -a are mutually exclusive"))
                wanted = _OBJECTS[option]
    if wanted == "all" and quiet:
        raise Exit(pot.usage_error("list", "Options -a and -q are incompatible"))
    everything = ("bases", "pots", "fscomp", "flavour", "bridges")
    for each in everything if wanted == "all" else (wanted or "pots",):
        _list(pot, each, quiet=quiet)
    return 0


def _list(pot: Pot, kind: str, *, quiet: bool) -> None:
    if kind == "pots":
        _pots(pot, quiet=quiet)
        return
    found = {
        "bases": _directories(pot.root.fs + "/bases"),
        "fscomp": _directories(pot.root.fs + "/fscomp"),
        "flavour": sorted({name.removesuffix(".sh") for name in _entries(pot.root.etc + "/flavours")}),
        "bridges": pots.bridges(pot.root),
    }[kind]
    label = kind if kind == "bases" else kind.removesuffix("s")
    for name in found:
        pot.echo(name if quiet else f"{label}: {name}")


def _pots(pot: Pot, *, quiet: bool) -> None:
    names = pots.names(pot.root)
    if quiet:
        for name in names:
            pot.echo(name)
        return
    if not names:
        pot.echo("No pot created yet...")
        return
    from pot_sim import describe  # noqa: PLC0415

    for name in names:
        for line in describe.brief(pot, name):
            pot.echo(line)


def _directories(place: str) -> list[str]:
    return [name for name in _entries(place) if os.path.isdir(f"{place}/{name}")]


def _entries(place: str) -> list[str]:
    try:
        return sorted(os.listdir(place))
    except FileNotFoundError:
        return []
