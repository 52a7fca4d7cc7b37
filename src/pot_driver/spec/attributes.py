"""pot's attributes of a jail: which exist, what values they take, and which of them a job may set.

Not here: the attributes that the driver sets itself (see `plan`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pot_driver.config.checks import shown
from pot_driver.spec.draft import Draft


def _bool(value: str) -> str | None:
    spelling = {"yes": "YES", "true": "YES", "on": "YES", "no": "NO", "false": "NO", "off": "NO"}
    return spelling.get(value.lower())


def _number(value: str) -> str | None:
    return value if re.fullmatch("[0-9]{1,9}", value) else None


def _sysv(value: str) -> str | None:
    return value if value in {"new", "inherit", "disable"} else None


def _command(value: str) -> str | None:
    # pot cuts it at the first "=" and at a line break
    return value if value.strip() and not re.search("[=\n]", value) else None


_BOOLS = "localhost-tunnel no-tmpfs no-etc-hosts mount fdescfs linprocfs nullfs procfs tmpfs zfs raw_sockets mlock"
_Check = tuple[Callable[[str], str | None], str]
KNOWN: Mapping[str, _Check] = {
    **dict.fromkeys(_BOOLS.split(), (_bool, "yes or no")),
    **dict.fromkeys(("enforce_statfs", "children", "devfs_ruleset"), (_number, "a number")),
    **dict.fromkeys(("sysvshm", "sysvsem", "sysvmsg"), (_sysv, "new, inherit or disable")),
    "exec_stop": (_command, 'one line without "="; the option exec_stop takes any command'),
}
_OURS: Mapping[str, str] = {
    "persistent": "the pot must end when its command ends",
    "no-rc-script": "the driver's script is the pot's command",
    "prunable": "the driver removes the pot itself",
    "to-be-pruned": "the driver removes the pot itself",
    "start-at-boot": "Nomad decides when a task starts",
    "early-start-at-boot": "Nomad decides when a task starts",
}


def attributes(draft: Draft) -> tuple[tuple[str, str], ...]:
    """The attributes to set, as pot stores them."""
    found: dict[str, str] = {}
    for text in draft.options.attributes:
        name, colon, value = text.partition(":")
        name = name.strip()
        if not colon:
            draft.wrong("attributes", f'{shown(text)} is not "NAME:VALUE", for example "devfs_ruleset:3"')
        elif name == "stop_timeout":
            draft.warn("attributes", '"stop_timeout" is set from the task\'s kill_timeout when it is stopped')
        elif name in _OURS:
            draft.wrong("attributes", f"{shown(name)} cannot be set by a job: {_OURS[name]}")
        elif name not in KNOWN:
            draft.wrong("attributes", f"pot has no attribute {shown(name)}; known: {', '.join(sorted(KNOWN))}")
        elif not is_allowed(name, draft.plugin.allowed_attributes):
            listed = ", ".join(draft.plugin.allowed_attributes or ()) or "none"
            draft.wrong("attributes", f"{shown(name)} is not one of this node's allowed_attributes: {listed}")
        else:
            _take(draft, found, name, value)
    return tuple(found.items())


def is_allowed(name: str, allowed: tuple[str, ...] | None) -> bool:
    """Whether the node lets anyone but itself set the attribute."""
    return allowed is None or name in allowed


def _take(draft: Draft, found: dict[str, str], name: str, value: str) -> None:
    check, wanted = KNOWN[name]
    stored = check(value if name == "exec_stop" else value.strip())
    if stored is None:
        draft.wrong("attributes", f"{shown(value)} for {shown(name)} must be {wanted}")
    elif found.setdefault(name, stored) != stored:
        draft.wrong("attributes", f"{shown(name)} is given twice, as {found[name]} and as {stored}")
    elif name == "exec_stop" and draft.options.exec_stop is not None:
        draft.wrong("attributes", '"exec_stop" is given twice: use the option exec_stop')
