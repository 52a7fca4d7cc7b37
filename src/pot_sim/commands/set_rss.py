"""`pot set-rss`: limits of memory and CPUs, kept in the configuration until the next start.

Not here: enforcing them (`limits`).
"""

from __future__ import annotations

from pot_sim import conf, pots
from pot_sim.session import Pot
from pot_sim.shell import natural


def run(pot: Pot, args: list[str]) -> int:
    name = cpus = memory = ""
    for option, value in pot.options("set-rss", args, "hvp:C:M:"):
        match option:
            case "p":
                name = value
            case "C":
                cpus = value
            case "M":
                problem = _memory_problem(value)
                if problem:
                    return pot.usage_error("set-rss", problem)
                memory = value
    if not name:
        return pot.usage_error("set-rss", "A pot name is mandatory")
    if not pots.check(pot, name):
        return pot.usage_error("set-rss", f"{name} is not a valid pot name")
    if not cpus and not memory:
        return pot.usage_error("set-rss", "One resource has to be specified (-C or -M)")
    if not pot.is_root():
        return 1
    if cpus and not (natural(cpus) and int(cpus) > 0):
        pot.error(f"{cpus} is a not valid amount of CPUs!")
        return 1
    if cpus:
        conf.replace(pot.root, name, "pot.rss.cpus", [cpus])
    if memory:
        conf.replace(pot.root, name, "pot.rss.memory", [memory])
    return 0


def _memory_problem(value: str) -> str:
    digits = value[:-1] if value[-1:] in tuple("bBkKmMgG") else value
    if not natural(digits):
        return f"{value} is not a valid memory constraint"
    if int(digits) == 0:
        return "Memory constraint has to be greater than zero"
    return ""
