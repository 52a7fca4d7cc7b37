"""Rows about pot: version, data sets, lock, what lies about.

Not here: the host (see `system`), Nomad (see `agent`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pot_driver.fingerprint import OLDEST_POT
from pot_driver.operator.doctor import facts as ask
from pot_driver.operator.doctor.row import Row, Verdict, judged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pot_driver.operator.doctor.facts import Facts

STALE_S = 60.0  # pot set-hosts takes a second
OURS = re.compile(r".+_[0-9a-f]{8}_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_COLUMNS = 4


def rows(facts: Facts) -> Iterator[Row]:
    """All of them."""
    version = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", facts.answer(ask.POT_VERSION).out)
    new = version is not None and tuple(int(part or 0) for part in version.groups()) >= OLDEST_POT
    oldest = ".".join(map(str, OLDEST_POT))
    yield judged(
        "pot version", new, version[0] if version else facts.answer(ask.POT_VERSION).words or "unknown",
        f"this driver needs pot {oldest} or newer", "pkg upgrade pot",
    )  # fmt: skip
    yield judged(
        "pot init", facts.initialised, f"{facts.fs_root}/jails is {'there' if facts.initialised else 'missing'}",
        "no pot can be made", "pot init; or the pool with pot's data sets is not imported: zpool import",
    )  # fmt: skip
    if not facts.simulated:
        yield from _datasets(facts)
    yield _lock(facts)
    age_s = facts.set_hosts_age_s
    yield judged(
        "pot-set-hosts", age_s is None or age_s < STALE_S, "none" if age_s is None else f"{age_s:.0f} s old",
        "a pot set-hosts was killed: every other one fails while its file is there",
        f"rm {facts.settings.get('POT_TMP', '/tmp')}/pot-set-hosts",  # noqa: S108 - pot's default
    )  # fmt: skip
    yield from _leftovers(facts)


def _datasets(facts: Facts) -> Iterator[Row]:
    root = facts.settings.get("POT_ZFS_ROOT", "zroot/pot")
    answer = facts.answer(ask.datasets(root))
    lines = [line.split("\t") for line in answer.out.splitlines()]
    away = [words[0] for words in lines if len(words) == _COLUMNS and words[1] == "no" and words[2] != "none"]
    found = f"not mounted: {', '.join(away)}" if away else f"{root}, mounted"
    yield judged(
        "data sets", answer.status == 0 and not away, found if answer.status == 0 else answer.words or "no answer",
        "pot does not see its pots and images", "zfs mount -a",
    )  # fmt: skip


def _lock(facts: Facts) -> Row:
    """Pot's commands run below `lockf -k`: the one that has a child holds the lock, the others wait."""
    lines = [line.split(None, 3) for line in facts.answer(ask.PROCESSES).out.splitlines()]
    processes = [words for words in lines if len(words) == _COLUMNS]
    parents = {words[1] for words in processes}
    lockers = [words for words in processes if re.match(r"\S*lockf -k \S*pot-lock-file", words[3])]
    holders = [words for words in lockers if words[0] in parents]
    waiting = len(lockers) - len(holders)
    found = "; ".join(f"held for {age} by pid {pid}: {command[:120]}" for pid, _, age, command in holders) or "free"
    return judged(
        "pot's lock", not holders, f"{found}; {waiting} wait" if waiting else found,
        "pot import and clone of other tasks wait; long ages mean a command that hangs",
        f"ps -o pid,etime,command -p {holders[0][0] if holders else ''}", Verdict.WARNING,
    )  # fmt: skip


def _leftovers(facts: Facts) -> Iterator[Row]:
    lonely = sorted(name for name in facts.pots - facts.homes if OURS.fullmatch(name))
    yield judged(
        "pots without a task", not lonely, ", ".join(lonely) or "none",
        "the plugin's reconciler removes those of its own client, after creation_grace",
        "; ".join(f"pot destroy -Fp {name}" for name in lonely), Verdict.WARNING,
    )  # fmt: skip
    empty = sorted(facts.homes - facts.pots)
    yield judged(
        "task states without a pot", not empty, ", ".join(empty) or "none",
        "a task is just being started or removed; or a start was cut short, and the reconciler removes it",
        "look again in ten minutes", Verdict.WARNING,
    )  # fmt: skip
    damaged = sorted(facts.damaged)
    yield judged(
        "damaged task states", not damaged, ", ".join(damaged) or "none",
        "the task cannot be removed without Nomad's handle", "nomad alloc stop of its allocation", Verdict.WARNING,
    )  # fmt: skip
