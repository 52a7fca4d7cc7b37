"""rctl(8): what jails use, and the rules about that.

Not here: rules about users, processes and login classes; keeping to a rule (`cgroups`).
"""

from __future__ import annotations

import sys

from pot_sim import faults, limits
from pot_sim import root as roots
from pot_sim.shell import Exit, Options, complain, end, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from pot_sim.root import Root

USAGE = """\
usage: rctl [ -h ] [-a rule | -l filter | -r filter | -u filter | filter]"""
DISABLED = "rctl: RACCT/RCTL present, but disabled; enable using kern.racct.enable=1 tunable"
_ACTIONS = ("deny", "log", "devctl", "throttle", *(f"sig{name}" for name in ("hup", "int", "kill", "term", "xcpu")))


def main() -> NoReturn:
    try:
        root = roots.of_executable(sys.argv[0])
        faults.delay(root, "rctl")
        end(_run(root, sys.argv[1:]))
    except Exit as ended:
        end(ended.status)


def _run(root: Root, args: list[str]) -> int:
    options = Options("rctl", args, "ahlnru")
    letters = [letter for letter, _ in options]
    modes = [letter for letter in letters if letter in "alru"]
    human = "h" in letters
    if "?" in letters or len(modes) > 1 or (modes and not options.rest):
        complain(USAGE)
        return 1
    if faults.on(root, "racct"):
        complain(DISABLED)
        return 1
    act = {"a": _add, "l": _limits, "r": _remove, "u": _usage}.get("".join(modes))
    if act is not None:
        return max(act(root, word, human) for word in options.rest)
    for each in limits.rules(root):
        if any(limits.matches(each, word) for word in options.rest or [""]):
            write(1, (_with_unit(each) if human else each) + "\n")
    return 0


def _usage(root: Root, wanted: str, human: bool) -> int:  # noqa: FBT001 (rctl's own table of functions)
    subject, _, rest = wanted.partition(":")
    name = rest.rstrip(":")
    if subject != "jail" or not name or ":" in name:
        return _fail(f"failed to show resource consumption for '{wanted}'", "Invalid argument")
    for resource, amount in limits.usage(root, name).items():
        write(1, f"{resource}={_short(amount) if human else amount}\n")
    return 0


def _add(root: Root, rule: str, _human: bool) -> int:  # noqa: FBT001
    head, _, amount = rule.partition("=")
    parts = head.split(":")
    if len(parts) == 4 and parts[0] == "jail" and parts[1] and parts[2] in limits.RESOURCES and parts[3] in _ACTIONS:
        try:
            limits.add_rule(root, f"{head}={amount.removesuffix('/jail')}")
            limits.obey(root, parts[1])
        except ValueError:
            pass
        else:
            return 0
    return _fail(f"failed to add rule '{rule}'", "Invalid argument")


def _remove(root: Root, wanted: str, _human: bool) -> int:  # noqa: FBT001
    if limits.remove_rules(root, wanted):
        return 0
    return _fail(f"failed to remove rule '{wanted}'", "No such process")


def _limits(_: Root, wanted: str, _human: bool) -> int:  # noqa: FBT001
    """Only processes have them."""
    return _fail(f"failed to show limits for '{wanted}'", "Operation not supported")


def _fail(what: str, why: str) -> int:
    complain(f"rctl: {what}: {why}")
    return 1


def _with_unit(rule: str) -> str:
    head, _, amount = rule.partition("=")
    number, slash, per = amount.partition("/")
    return f"{head}={_short(number)}{slash}{per}"


def _short(amount: str) -> str:
    """humanize_number, in four characters."""
    number, units = float(amount), iter("KMGTPE")
    unit = ""
    while number >= 1000:
        number, unit = number / 1024, next(units)
    return f"{number:.1f}{unit}" if unit and number < 10 else f"{number:.0f}{unit}"
