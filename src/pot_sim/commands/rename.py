"""`pot rename`: of a stopped pot; its status file keeps the old name.

Not here: renaming the datasets (`zfs`).
"""

from __future__ import annotations

import os

from pot_sim import conf, pots, zfs
from pot_sim.session import Pot
from pot_sim.shell import Exit


def run(pot: Pot, args: list[str]) -> int:
    given = dict(pot.options("rename", args, "hvp:n:"))
    name = given.get("p", "")
    new = given.get("n", "")
    if not name:
        raise Exit(pot.usage_error("rename", "pot name is missing (-p)"))
    if not new:
        raise Exit(pot.usage_error("rename", "new name is missing (-n)"))
    if not pots.check(pot, name):
        pot.error(f"{name} is not a valid pot")
        raise Exit(1)
    problem = ""
    if pots.exists(pot.root, new):
        problem = f"pot {new} exists already"
    elif pots.is_running(pot.root, name):
        problem = f"pot {name} is still running"
    if problem:
        pot.error(problem)
        raise Exit(1)
    pot.must_be_root()
    _rename(pot, name, new)
    return 0


def _rename(pot: Pot, name: str, new: str) -> None:
    conf.replace(pot.root, name, "host.hostname", [f'"{new}.{os.uname().nodename}"'])
    pot.debug(f"Renaming {pot.config['POT_ZFS_ROOT']}/jails/{name} in {pot.config['POT_ZFS_ROOT']}/jails/{new}")
    zfs.rename(pot.root, f"jails/{name}", f"jails/{new}")
    changes = {f"{key}={name}": f"{key}={new}" for key in ("pot.potbase", "pot.depend")}
    for other in pots.names(pot.root):
        file = conf.fscomp_path(pot.root, other)
        if os.path.exists(file):
            conf.edit(file, lambda line: line.replace(f"/jails/{name}/", f"/jails/{new}/"))
        if os.path.exists(conf.path(pot.root, other)):
            conf.edit(conf.path(pot.root, other), lambda line: changes.get(line, line))
