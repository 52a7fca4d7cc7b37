"""Where one simulated pot installation lies on this machine, and which machine it believes to be.

A root is self-contained: several of them stand side by side and know nothing of each other.
`POT_SIM_ROOT` names it for `pot-sim`; the executables in its `bin` find it by their own location, so that
they work in an otherwise empty environment.

Not here: what lies in those places (conf, zfs, images), and how the tree is made (`__main__`).
"""

from __future__ import annotations

import os

VARIABLE = "POT_SIM_ROOT"

_SYS_ADMIN = 1 << 21


class Root:
    """The paths of one root. POT_FS_ROOT, POT_TMP and POT_CACHE may be moved by its pot.conf."""

    __slots__ = (
        "bin",
        "bridges",
        "cache",
        "etc",
        "faults",
        "fs",
        "images",
        "jails",
        "log",
        "path",
        "run",
        "tmp",
        "zfs",
    )

    def __init__(self, path: str, *, fs: str = "", tmp: str = "", cache: str = "") -> None:
        self.path = path
        self.bin = path + "/bin"
        self.etc = path + "/etc/pot"
        self.fs = fs or path + "/opt/pot"
        self.jails = self.fs + "/jails"
        self.bridges = self.fs + "/bridges"
        self.tmp = tmp or path + "/tmp"
        self.cache = cache or path + "/var/cache/pot"
        self.images = path + "/images"
        self.run = path + "/run"  # what a reboot forgets: jails, interfaces, pf and rctl rules
        self.zfs = path + "/zfs"  # datasets, snapshots, origins
        self.log = path + "/var/log/messages"  # what syslog would hold
        self.faults = path + "/etc/faults"

    def jail(self, name: str) -> str:
        """The pot's directory: `conf` and `m` lie below it."""
        return self.jails + "/" + name

    def conf(self, name: str) -> str:
        return self.jails + "/" + name + "/conf"

    def m(self, name: str) -> str:
        return self.jails + "/" + name + "/m"


def of_executable(script: str) -> Root:
    """The root that an executable in its `bin` belongs to; pot, too, goes by its real path."""
    return Root(os.path.dirname(os.path.dirname(os.path.realpath(script))))


def from_environment() -> Root | None:
    path = os.environ.get(VARIABLE)
    return Root(os.path.realpath(path)) if path else None


def is_mighty() -> bool:
    """Whether root is root here, and not only in name: CAP_SYS_ADMIN."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        line = next(line for line in file if line.startswith("CapEff:"))
    return bool(int(line.split()[1], 16) & _SYS_ADMIN)


def boot_time(root: Root) -> int:
    """Seconds since the epoch at which this machine, or this root's simulated one, came up."""
    with open("/proc/stat", encoding="ascii") as stat:
        real = next(int(line[6:]) for line in stat if line.startswith("btime "))
    return max(real, int(_boot(root)[0]))


def boot_id(root: Root) -> str:
    simulated = _boot(root)[1]
    if simulated:
        return simulated
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def set_boot(root: Root, seconds: int, identity: str) -> None:
    """From now on the machine came up at `seconds`; `pot-sim reboot` calls this."""
    with open(root.path + "/etc/boot", "w", encoding="ascii") as file:
        file.write(f"{seconds} {identity}\n")


def _boot(root: Root) -> tuple[str, str]:
    try:
        with open(root.path + "/etc/boot", encoding="ascii") as file:
            seconds, identity = file.read().split()
    except FileNotFoundError:
        return "0", ""
    return seconds, identity
