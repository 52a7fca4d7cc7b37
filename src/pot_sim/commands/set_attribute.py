"""`pot set-attribute`.

Not here: which attributes there are (`attributes`).
"""

from __future__ import annotations

from pot_sim import attributes, conf, pots
from pot_sim.session import Pot
from pot_sim.shell import complain


def run(pot: Pot, args: list[str]) -> int:
    options = dict(pot.options("set-attribute", args, "hvp:A:V:"))
    name, attribute, given = (options.get(letter, "") for letter in "pAV")
    if not name:
        return pot.usage_error("set-attribute", "A pot name is mandatory")
    if not attribute:
        return pot.usage_error("set-attribute", "Option -A is mandatory")
    if not given:
        return pot.usage_error("set-attribute", "Option -V is mandatory")
    if not pots.check(pot, name):
        return pot.usage_error("set-attribute", f"{name} is not a valid pot")
    if attribute not in attributes.settable():
        return pot.usage_error("set-attribute", f"{attribute} is not a valid attribute")
    if not pot.is_root():
        return 1
    if attribute == "no-tmpfs" and not _tmpfs_may_change(pot, name):
        return 1
    return _set(pot, name, attribute, given)


def _tmpfs_may_change(pot: Pot, name: str) -> bool:
    if conf.get(pot.root, name, "pot.type") != "single":
        pot.error("Attribute no-tmpfs is only usable with single type pot")
        return False
    if pots.is_running(pot.root, name):
        pot.error(f"pot {name} is still running")
        complain(f"{pot.program}: {name}: not found")  # pot goes on, without a function to call
        return False
    return True


def _set(pot: Pot, name: str, attribute: str, given: str) -> int:
    kind = attributes.OF_JAIL[attribute][0] if attribute in attributes.OF_JAIL else "bool"
    value, problem = given, ""
    if kind == "bool":
        value = attributes.boolean(given)
        problem = "" if value else "value  is not a valid boolean value"
    elif kind == "uint" and not all(mark in "0123456789" for mark in given):
        problem = f"value {given} is not a valid uint value"
    elif kind == "sysvopt" and given not in ("new", "inherit", "disable"):
        problem = "value must be one of 'new', 'inherit', 'disable'"
    if problem:
        return pot.usage_error("set-attribute", problem)
    conf.replace(pot.root, name, f"pot.attr.{attribute}", [value])
    return 0
