"""`pot show`: disk, memory and redirected ports of pots.

Not here: measuring (`limits`).
"""

from __future__ import annotations

import os

from pot_sim import conf, epair, faults, pots, zfs
from pot_sim.session import Pot
from pot_sim.shell import Exit


def run(pot: Pot, args: list[str]) -> int:
    given = dict(pot.options("show", args, "hvp:arq"))
    name = given.get("p", "")
    running = "r" in given
    every = "a" in given
    quiet = "q" in given
    if (bool(name), every, running).count(True) > 1:
        raise Exit(pot.usage_error("show", "-p -r -a are mutually exclusive"))
    if name:
        if not pots.check(pot, name):
            pot.error(f"{name} is not a valid pot")
            raise Exit(1)
        _show(pot, name)
        return 0
    for each in pots.names(pot.root):
        if not every and not pots.is_running(pot.root, each):
            continue
        if quiet:
            pot.echo(each)
        else:
            _show(pot, each)
    return 0


def _show(pot: Pot, name: str) -> None:
    pot.echo(f"pot {name}")
    pot.echo(f"\tdisk usage      : {zfs.used(pot.root, f'jails/{name}')}")
    if not pots.is_running(pot.root, name):
        return
    if os.geteuid() != 0:
        pot.info("some runtime information requires root privileges")
        return
    _memory(pot, name)
    cpus = conf.get(pot.root, name, "pot.rss.cpus")
    if cpus:
        pot.echo(f"\tmax amount of CPUs: {cpus}")
        pot.echo(f"\tallocated CPUs    : {','.join(str(each) for each in range(int(cpus)))}")
    anchor = pots.anchor(name)
    if conf.network_type(pot.root, name) == "public-bridge" and anchor in epair.anchors(pot.root):
        pot.echo("\n\tNetwork port redirection")
        for rule in epair.anchor(pot.root, anchor):
            pot.echo(f"\t\t{rule}")


def _memory(pot: Pot, name: str) -> None:
    if faults.on(pot.root, "racct"):
        pot.info("runtime memory usage require rctl enabled")
        return
    from pot_sim import limits  # noqa: PLC0415 (only of pots that run)

    used = limits.usage(pot.root, name)
    pot.echo(f"\tvirtual memory  : {used.get('vmemoryuse', '')}")
    pot.echo(f"\tphysical memory : {used.get('memoryuse', '')}")
