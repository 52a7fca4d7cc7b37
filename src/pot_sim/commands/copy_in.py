"""`pot copy-in`: cp(1) in the pot, from a directory of the host that is mounted there meanwhile.

Not here: the mounts (`mounts`), the lock (`locks`).
"""

from __future__ import annotations

from pot_sim import copying, pots
from pot_sim.session import Pot


def run(pot: Pot, args: list[str]) -> int:
    before = pot.verbosity
    given = dict(pot.options("copy-in", args, "hvs:d:p:Fc"))
    name, source, target = (given.get(letter, "") for letter in "psd")
    verbose, force = pot.verbosity > before, "F" in given
    if not name:
        return pot.usage_error("copy-in", "A pot name is mandatory")
    if not source:
        return pot.usage_error("copy-in", "A source is mandatory")
    if not target:
        return pot.usage_error("copy-in", "A destination is mandatory")
    if not target.startswith("/"):
        pot.error("The destination has to be an absolute pathname")
        return 1
    if not pots.check(pot, name):
        return pot.usage_error("copy-in", f"pot {name} is not valid")
    if not pot.is_root():
        return 1
    if not copying.source_is_valid(pot, source):
        pot.help("copy-in")
        return 1
    if pots.is_running(pot.root, name) and not copying.may_touch_running(pot, "on", force=force):
        return 1
    job = copying.In(pot, name, source, target, verbose=verbose, make_parents="c" in given)
    return copying.run(pot, name, job)
