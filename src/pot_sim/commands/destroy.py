"""`pot destroy`: a pot, a bridge, a file system component.

A pot that does not run is not stopped first, so what its last start left on the host stays there.

Not here: refusing datasets with clones (`zfs`).
"""

from __future__ import annotations

import os

from pot_sim import conf, mounted, pots, status, zfs
from pot_sim.session import Pot
from pot_sim.shell import Exit, complain


class _Asked:
    """The options."""

    def __init__(self, given: dict[str, str]) -> None:
        self.pot, self.base, self.fscomp, self.bridge = (given.get(letter, "") for letter in "pbfB")
        self.force, self.recursive = "F" in given, "r" in given


def run(pot: Pot, args: list[str]) -> int:
    given = dict(pot.options("destroy", args, "hvrf:p:b:FB:q"))
    asked = _Asked(given)
    if "q" in given:
        pot.verbosity = 0
    objects = [each for each in (asked.pot, asked.base, asked.fscomp, asked.bridge) if each]
    if not objects:
        raise Exit(pot.usage_error("destroy", "-b or -p or -f or -B are missing"))
    if len(objects) > 1:
        raise Exit(pot.usage_error("destroy", "-b, -p, -f and -B cannot be used at the same time"))
    pot.must_be_root()
    if asked.bridge:
        raise Exit(_bridge(pot, asked))
    if asked.fscomp:
        raise Exit(_fscomp(pot, asked))
    if asked.base:
        pot.error(f"{asked.base} is not a base")
        raise Exit(1)
    _pot(pot, asked)
    if os.path.isfile(status.path(pot.root, asked.pot)):
        os.unlink(status.path(pot.root, asked.pot))
    return 0


def _bridge(pot: Pot, asked: _Asked) -> int:
    if asked.force or asked.recursive:
        pot.info("Destroy bridge will ignore force and recursive")
    if asked.bridge not in pots.bridges(pot.root):
        pot.not_found(f"bridge {asked.bridge} not found")
        pot.error(f"{asked.bridge} is not a valid bridge name")
        return 1
    for name in pots.names(pot.root):
        if conf.get(pot.root, name, "bridge") == asked.bridge:
            pot.error(f"the bridge {asked.bridge} is still used by the pot {name} - unable to delete")
            return 1
    pot.info(f"Destroying bridge {asked.bridge}")
    os.unlink(f"{pot.root.bridges}/{asked.bridge}")
    return 0


def _fscomp(pot: Pot, asked: _Asked) -> int:
    if asked.force or asked.recursive:
        pot.info("Destroy fscomps will ignore force and recursive")
    dataset = f"fscomp/{asked.fscomp}"
    if not zfs.exists(pot.root, dataset):
        pot.error(f"{asked.fscomp} is not a fscomp")
        return 1
    pot.info(f"Destroying fscomp {asked.fscomp}")
    return 0 if _destroy_dataset(pot, dataset) else 1


def _pot(pot: Pot, asked: _Asked) -> None:
    name = asked.pot
    problem = pots.problem(pot.root, name)
    if problem and asked.force and zfs.exists(pot.root, f"jails/{name}"):
        if not _destroy(pot, name, force=True):
            pot.error(f"Failed to destroy pot {name}")
            raise Exit(1)
        pot.info(f"Forcibly destroyed pot {name}")
        raise Exit(0)
    if problem:
        pot.not_found(problem)
        pot.error(f"pot {name} not found or corrupted. Try to use the -F flag")
        raise Exit(1)
    if conf.get(pot.root, name, "pot.level") == "0":
        _dependents(pot, name, asked)
    for other in pots.names(pot.root):
        for _ in range(conf.get(pot.root, other, "pot.depend").split().count(name)):
            pot.info(f"pot {other} is losing his dependency {name}")
    pot.info(f"Destroying pot {name}")
    if not _destroy(pot, name, force=asked.force):
        pot.error(f"{name} destruction failed")
        raise Exit(1)


def _dependents(pot: Pot, name: str, asked: _Asked) -> None:
    if conf.get(pot.root, name, "pot.type") != "single":
        pot.error(f"The pot {name} has level 0. Please destroy the related base insted")
        raise Exit(1)
    for other in pots.names(pot.root):
        if conf.get(pot.root, other, "pot.potbase") != name:
            continue
        if not asked.recursive:
            pot.error(f"{name} is used at least by another pot ({other}) - use option -r to destroy it recursively")
            raise Exit(1)
        pot.debug(f"Destroying recursively pot {other} based on {name}")
        _destroy(pot, other, force=asked.force)


def _destroy(pot: Pot, name: str, *, force: bool) -> bool:
    dataset = f"jails/{name}"
    if not zfs.exists(pot.root, dataset):
        if os.path.isdir(pot.root.jail(name)):
            pot.debug(f"Dataset of {name} not found, but removing the directory anyway")
            zfs.remove(pot.root.jail(name))
            return True
        pot.error(f"{name} not found")
        return False
    if pots.is_running(pot.root, name):
        if not force:
            pot.error(f"pot {name} is running")
            raise Exit(1)
        pot.command("stop", name)
    if not _destroy_dataset(pot, dataset):
        return False
    mounted.take(pot.root, name)
    from pot_sim import jail  # noqa: PLC0415 (long to import)

    jail.remove(pot.root, name, stop_timeout=0)  # one that came up meanwhile has lost its root
    return True


def _destroy_dataset(pot: Pot, dataset: str) -> bool:
    names = pot.config["POT_ZFS_ROOT"]
    try:
        zfs.destroy(pot.root, dataset, names)
    except zfs.ZfsError as error:
        complain(str(error))
        pot.error(f"zfs failed to destroy the dataset {names}/{dataset}")
        return False
    return True
