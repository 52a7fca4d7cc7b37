"""What the doctor knows of a host.

Not here: asking it (see `look`), judging it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

Argv = tuple[str, ...]

POT_VERSION: Argv = ("pot", "version")
JLS: Argv = ("jls", "name")
PROCESSES: Argv = ("ps", "-ax", "-o", "pid=", "-o", "ppid=", "-o", "etime=", "-o", "command=")
RACCT: Argv = ("sysctl", "-n", "kern.racct.enable")
VIMAGE: Argv = ("sysctl", "-n", "kern.features.vimage")
FORWARDING: Argv = ("sysctl", "-n", "net.inet.ip.forwarding")
RCTL: Argv = ("rctl",)
PF: Argv = ("pfctl", "-s", "info")
INTERFACES: Argv = ("ifconfig", "-a")
DEVFS: Argv = ("devfs", "rule", "-s", "4", "show")
NOMAD: Argv = ("nomad", "version")


def datasets(zfs_root: str) -> Argv:
    """Pot's data sets, with what is free."""
    return ("zfs", "list", "-H", "-p", "-o", "name,mounted,mountpoint,available", "-d", "1", zfs_root)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How a command ended. `status` None: it did not, within its time; `missing`: there is no such command."""

    status: int | None = 0
    out: str = ""
    err: str = ""
    seconds: float = 0.0
    missing: bool = False

    @property
    def words(self) -> str:
        """What it said, for a row."""
        return " ".join((self.err or self.out).split())[-200:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A directory entry as far as it matters who may change it."""

    name: str
    target: str | None = None  # of a link
    dangling: bool = False
    executable: bool = False
    others_write: bool = False  # somebody but root


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFile:
    """One file of an agent's configuration."""

    path: Path
    blocks: Mapping[str, object] = field(default_factory=dict)  # plugin: {label: {…}}, client: {…}, attributes
    problems: tuple[str, ...] = ()  # why it was not understood


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One look at a host."""

    simulated: bool = False
    uid: int = 0
    packages: str = ""  # what this Python lacks, in words
    host_path: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)  # of pot's configuration
    answers: Mapping[Argv, Answer] = field(default_factory=dict)
    found: frozenset[str] = frozenset()  # of `ncat`, `signify`
    fs_root: Path = Path("/opt/pot")
    initialised: bool = True
    free_bytes: Mapping[str, int] = field(default_factory=dict)  # "POT_CACHE /var/cache/pot" → bytes
    unwritable: tuple[str, ...] = ()  # "POT_TMP /tmp: no such directory"
    resolv_conf: str | None = None
    pf_conf: str | None = None
    set_hosts_age_s: float | None = None  # of pot's temporary file, if it is there
    pots: frozenset[str] = frozenset()
    homes: frozenset[str] = frozenset()
    damaged: frozenset[str] = frozenset()  # homes whose record cannot be read
    agent_files: tuple[AgentFile, ...] = ()
    plugin_dir: Path | None = None
    plugin_entries: tuple[Entry, ...] | None = None  # None: the directory is not there
    plugin_dir_others_write: bool = False

    def answer(self, argv: Argv) -> Answer:
        """The answer; what was not asked is missing."""
        return self.answers.get(argv, Answer(missing=True))
