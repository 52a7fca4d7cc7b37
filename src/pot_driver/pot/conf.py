"""pot.conf: what pot reads from it, and how. The one grammar for files that images bring and that we write.

pot finds a key by `grep "^KEY="`, in which a dot stands for any character, and takes all lines that match; exported
ports it finds anywhere in a line. So a file of ours has each key once, and no line in which pot could find another key.

Source: common.sh, start.sh and stop.sh of pot 0.16.

Not here: which values a task gets (see `plan.compose`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

PORTS = "pot.export.ports"
_MANY = frozenset({"pot.hosts", "pot.env"})
_SINGLE = frozenset(
    {"pot.level", "pot.type", "pot.base", "pot.potbase", "pot.dns", "pot.cmd", "pot.stack", "pot.depend", PORTS}
    | {"pot.rss.memory", "pot.rss.cpus", "host.hostname", "osrelease", "network_type", "vnet", "ip", "bridge"}
)
_ATTRIBUTE = re.compile(r"pot\.attr\.[a-z_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfFile:
    """The lines of a pot.conf as an image brings it: the first of each key, and what is odd."""

    single: Mapping[str, str]
    hosts: tuple[str, ...]
    env: tuple[str, ...]
    odd: tuple[str, ...]  # keys that pot does not have or that are there more than once


def read(text: str) -> ConfFile:
    """Read it. Blank lines and comments are nothing; any other line without "=" is odd."""
    lines = [line for line in text.split("\n") if line.strip() and not line.startswith("#")]
    pairs = [(key, value) for key, _, value in (line.partition("=") for line in lines)]
    single: dict[str, str] = {}
    for key, value in pairs:
        single.setdefault(key, value)
    counts = Counter(key for key, _ in pairs)
    odd = [key for key in counts if not _is_known(key) or (counts[key] > 1 and key not in _MANY)]
    return ConfFile(
        single={key: value for key, value in single.items() if _is_known(key) and key not in _MANY},
        hosts=tuple(value for key, value in pairs if key == "pot.hosts"),
        env=tuple(value for key, value in pairs if key == "pot.env"),
        odd=tuple(sorted(odd)),
    )


def write(pairs: Iterable[tuple[str, str]]) -> str:
    """The file of these keys and values.

    ValueError where pot would read something else than what was given: it is never right to write that.
    """
    lines = [f"{key}={value}" for key, value in pairs]
    for line in lines:
        key = line.partition("=")[0]
        if not _is_known(key) or "\n" in line or "\0" in line:
            raise ValueError(f"{line!r} is not a line of pot.conf")
        if PORTS in re.sub(r"[^ -~]", ".", line) and key != PORTS:
            raise ValueError(f"{line!r} would be taken for exported ports by pot")
    counts = Counter(line.partition("=")[0] for line in lines)
    repeated = [key for key, count in counts.items() if count > 1 and key not in _MANY]
    if repeated:
        raise ValueError(f"{', '.join(repeated)} would be in pot.conf twice")
    return "".join(f"{line}\n" for line in lines)


def replaced(text: str, key: str, value: str) -> str:
    """The file with another value of one key."""
    lines = [line for line in text.split("\n") if line and not line.startswith(f"{key}=")]
    return "".join(f"{line}\n" for line in [*lines, f"{key}={value}"])


def _is_known(key: str) -> bool:
    return key in _SINGLE or key in _MANY or bool(_ATTRIBUTE.fullmatch(key))
