"""The states of a pot and which may follow which, kept in one small file; each change under the pot's own lock.

    starting  from none, stopped        started, doa  from starting
    stopping  from started, doa, stopped              stopped  from stopping

A file older than the boot counts as none.

Not here: the host-wide lock (`locks`), what is done in each state (`start`, `stop`).
"""

from __future__ import annotations

import os

from pot_sim import conf, locks, pots
from pot_sim.root import boot_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pot_sim.root import Root
    from pot_sim.session import Pot

STATES = ("starting", "doa", "started", "stopping", "stopped")

CHANGED, REFUSED, ALREADY = 0, 1, 2

_FROM = {
    "starting": ("", "stopped"),
    "started": ("starting",),
    "doa": ("starting",),
    "stopping": ("started", "doa", "stopped"),
    "stopped": ("stopping",),
}


def path(root: Root, name: str) -> str:
    return f"{root.tmp}/pot_status_{name}"


def change(pot: Pot, name: str, state: str, interfaces: str = "") -> tuple[int, str]:
    """What pot runs as `lockf TMP/pot-lock-N pot set-status`: the result, and the line it prints for `stopping`."""
    args = ["-p", name, "-s", state, *(["-i", interfaces] if interfaces else [])]
    if pot.verbose:
        args.append("-" + "v" * (pot.verbosity - 1))
    with locks.of_pot(pot.root, name):
        pot.log("set-status", args)
        if not pots.exists(pot.root, name):
            return REFUSED, ""
        return move(pot, name, state, interfaces)


def move(pot: Pot, name: str, state: str, interfaces: str) -> tuple[int, str]:
    """One change, the lock being held or not wanted; an unknown (empty) state is let through, as in pot."""
    current, kept = _current(pot, name)
    if current == state:
        return ALREADY, ""
    if state in _FROM and current not in _FROM[state]:
        return REFUSED, ""
    printed = ""
    if state in ("starting", "stopped"):
        interfaces = ""
    elif state == "stopping":
        interfaces = printed = kept
    conf.append(path(pot.root, name), [f"pot.status={state},{interfaces}"])
    _forget_older(path(pot.root, name))
    return CHANGED, printed


def _current(pot: Pot, name: str) -> tuple[str, str]:
    file = path(pot.root, name)
    try:
        changed = int(os.stat(file).st_mtime)
    except FileNotFoundError:
        return "", ""
    if boot_time(pot.root) > changed:
        pot.debug_on_stderr(f"Ignoring outdated status file {file} of pot {name}")
        return "", ""
    found = [line for line in conf.lines(file) if line.startswith("pot.status=")]
    value = found[-1].split("=")[1].replace(" ", "").replace('"', "") if found else ""
    state, _, rest = value.partition(",")
    return state, rest.split(",")[0]


def _forget_older(file: str) -> None:
    if sum(line.startswith("pot.status=") for line in conf.lines(file)) > 1:
        seen = False

        def drop_first(line: str) -> str | None:
            nonlocal seen
            first, seen = line.startswith("pot.status=") and not seen, True
            return None if first else line

        conf.edit(file, drop_first)
