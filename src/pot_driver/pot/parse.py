"""What pot prints and writes, as values.

Everything tolerates what it does not know: pot changes between releases, files can be half written.

Not here: opening files, running pot, deciding what a value means for a task.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

_MESSAGE = re.compile(r"^(#{3}|={3}|={5})>\s+(.*?)\s*$")
_STDERR_LINES = 6  # the end of stderr that an error text repeats
_TEXT_LENGTH = 1000  # an error text is copied into task events, which travel to the servers


class Level(Enum):
    """How pot marks its lines."""

    ERROR = "###"
    INFO = "==="
    DEBUG = "====="


@dataclass(frozen=True, slots=True, kw_only=True)
class PotMessage:
    """A line that pot itself said."""

    level: Level
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PotConf:
    """A pot's pot.conf."""

    cmd: str | None = None  # as the pot's shell will read it
    network_type: str = ""
    stack: str = ""
    ips: tuple[str, ...] = ()  # without the interface of an alias
    attributes: Mapping[str, str] = field(default_factory=dict)
    export_ports: tuple[str, ...] = ()
    memory: str = ""  # as set-rss took it, e.g. "64M"
    cpus: str = ""
    hosts: frozenset[str] = frozenset()  # "ADDRESS NAME"
    env: tuple[str, ...] = ()  # each is behind `export ` what the pot's shell reads at its start


@dataclass(frozen=True, slots=True, kw_only=True)
class FscompEntry:
    """One mount of a pot: a line of its fscomp.conf."""

    source: str
    destination: str
    option: str = ""  # "ro", "zfs-remount" or nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class PotStatus:
    """A pot's status file: the state and the host's ends of its network interfaces."""

    state: str
    interfaces: tuple[str, ...] = ()


def messages(stdout: bytes) -> tuple[PotMessage, ...]:
    """Pot's own lines among everything on its stdout."""
    found = (_MESSAGE.match(line) for line in _lines(stdout))
    return tuple(PotMessage(level=Level(m[1]), text=m[2]) for m in found if m)


def error_text(stdout: bytes, stderr: bytes) -> str:
    """The words to show a user: pot's errors without its help text, then the end of stderr. May be empty."""
    told = [m.text for m in messages(stdout) if m.level is Level.ERROR and m.text]
    # What pot went on in spite of is no cause.
    errors = [text for text in told if not text.endswith("ignoring")] or told
    noise = [line.strip() for line in _lines(stderr) if line.strip()][-_STDERR_LINES:]
    text = "; ".join(dict.fromkeys(errors + noise))  # pot's second try repeats the first one's words
    return text if len(text) <= _TEXT_LENGTH else f"{text[:_TEXT_LENGTH]}…"


def exit_code(last_run_stats: bytes) -> int | None:
    """The exit code of the pot's last run; None when nothing is known, which is never success."""
    try:
        stats = json.loads(last_run_stats)
    except ValueError:
        return None
    code = stats.get("ExitCode") if isinstance(stats, dict) else None
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def pot_conf(text: str) -> PotConf:
    """Read pot.conf: the first line of a key counts, as for pot itself."""
    first: dict[str, str] = {}
    hosts, env = set(), []
    for line in text.split("\n"):
        key, equals, value = line.partition("=")
        if equals and not key.startswith("#"):
            first.setdefault(key, value)
        if key == "pot.hosts":
            hosts.add(value.strip())
        elif key == "pot.env":
            env.append(value)
    attribute = "pot.attr."
    return PotConf(
        cmd=first.get("pot.cmd") or None,
        network_type=_bare(first.get("network_type", "")),
        stack=_bare(first.get("pot.stack", "")),
        ips=tuple(ip.rpartition("|")[2] for ip in first.get("ip", "").strip('"').split()),
        attributes={
            key.removeprefix(attribute): value.strip() if key.endswith("exec_stop") else _bare(value)
            for key, value in first.items()
            if key.startswith(attribute)
        },
        export_ports=tuple(first.get("pot.export.ports", "").strip('"').split()),
        memory=_bare(first.get("pot.rss.memory", "")),
        cpus=_bare(first.get("pot.rss.cpus", "")),
        hosts=frozenset(hosts),
        env=tuple(env),
    )


def fscomp(text: str) -> tuple[FscompEntry, ...]:
    """Read fscomp.conf, in the order in which pot mounts. Its first line may be the pot's own dataset."""
    entries = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2:  # noqa: PLR2004 - source and destination
            option = words[2] if len(words) > 2 else ""  # noqa: PLR2004
            entries.append(FscompEntry(source=words[0], destination=words[1], option=option))
    return tuple(entries)


def status_file(text: str) -> PotStatus | None:
    """Read a status file."""
    match = re.match(r"pot\.status=([^,\n]*),?(.*)", text)
    if not match or not match[1]:
        return None
    interfaces = tuple(name for name in re.split(r"[:\s]+", match[2]) if name)
    return PotStatus(state=match[1], interfaces=interfaces)


def rctl_usage(text: str) -> Mapping[str, int]:
    """Read `rctl -u`: resource → amount, in bytes, seconds or percent of a core."""
    pairs = (line.strip().partition("=") for line in text.splitlines())
    return {key: int(value) for key, _, value in pairs if key and value.isdecimal()}


def _lines(output: bytes) -> list[str]:
    return output.decode(errors="replace").splitlines()


def _bare(value: str) -> str:
    """A value as pot reads it: without blanks, tabs, double quotes, and only up to the next "="."""
    return re.sub(r'[ \t"]', "", value.partition("=")[0])
