"""Making a root, emptying it again, and letting its machine boot anew.

Not here: the command line for it (`__main__`), images (`images`).
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import stat
import sys
import time
import uuid

from pot_sim import settings, zfs
from pot_sim.root import set_boot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pot_sim.root import Root

HOST_COMMANDS = ("jls", "ps", "rctl", "signify", "skein1024", "sysctl")

_SCRIPT = """\
#!{python} -IS
import sys
sys.path.insert(0, {source!r})
from {module} import main
main()
"""


def init(root: Root) -> None:
    """Make what is missing; what is there stays, but for the executables, which follow this Python."""
    for place in (root.bin, root.etc, root.tmp, root.cache, root.images, root.run, os.path.dirname(root.log)):
        os.makedirs(place, exist_ok=True)
    for kind in ("jails", "bases", "fscomp", "bridges"):
        os.makedirs(f"{root.fs}/{kind}", exist_ok=True)
        os.makedirs(f"{root.zfs}/{kind}", exist_ok=True)
    os.chmod(root.fs, 0o750)
    os.chmod(root.tmp, 0o1777)
    _write_settings(root)
    _executable(root, "pot", "pot_sim.pot")
    for name in HOST_COMMANDS:
        _executable(root, name, f"pot_sim.hostcmds.{name}")
    if not os.path.lexists(root.bin + "/sh"):
        os.symlink("/bin/sh", root.bin + "/sh")


def add_ncat(root: Root) -> None:
    """What makes pot believe in localhost-tunnel; the ports answer on localhost in any case."""
    place = root.path + "/usr/local/bin"
    os.makedirs(place, exist_ok=True)
    _put(place + "/ncat", "#!/bin/sh\nexit 1\n", mode=0o755)


def reset(root: Root) -> None:
    """No jail, no pot, no image in use, no cache; the image files stay."""
    from pot_sim import jail  # noqa: PLC0415

    jail.remove_all(root)
    for place in (root.run, root.tmp, root.cache, root.fs, root.zfs, os.path.dirname(root.log)):
        zfs.remove(place)
    for file in (root.faults, root.path + "/etc/boot"):
        if os.path.exists(file):
            os.unlink(file)
    init(root)


def reboot(root: Root, *, var_run: Iterable[str] = (), clear_tmp: bool = False) -> None:
    """As after a power cut: what ran is gone, files stay, and the machine has come up just now.

    `var_run`: directories that rc.d/cleanvar goes through. `clear_tmp`: so does rc.d/cleartmp through POT_TMP.
    """
    from pot_sim import jail  # noqa: PLC0415

    for pid in _own_processes(root):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    jail.remove_all(root)
    zfs.remove(root.run)
    os.makedirs(root.run)
    for place in var_run:
        _clean_var(place)
    for entry in os.listdir(root.tmp) if clear_tmp else ():
        zfs.remove(f"{root.tmp}/{entry}")
    up = int(time.time()) + 1
    set_boot(root, up, str(uuid.uuid4()))
    time.sleep(max(0.0, up - time.time()))


def _clean_var(place: str) -> None:
    """`find -type f -or -type s -delete`: directories, FIFOs and links stay."""
    for directory, _, names in os.walk(place):
        for path in (f"{directory}/{name}" for name in names):
            mode = os.lstat(path).st_mode
            if stat.S_ISREG(mode) or stat.S_ISSOCK(mode):
                os.unlink(path)


def _own_processes(root: Root) -> list[int]:
    """Commands of this root that are under way."""
    found = []
    for pid in (int(entry) for entry in os.listdir("/proc") if entry.isdigit()):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:  # it has ended
            continue
        if os.fsencode(root.bin + "/pot") in words and pid != os.getpid():
            found.append(pid)
    return found


def _write_settings(root: Root) -> None:
    defaults = {
        **settings.DEFAULTS,
        "POT_FS_ROOT": root.fs,
        "POT_CACHE": root.cache,
        "POT_TMP": root.tmp,
    }
    default, own = (f"{root.etc}/{name}" for name in settings.FILES)
    lines = [f"{key}={shlex.quote(value) if value else ''}\n" for key, value in sorted(defaults.items())]
    _put(default, "# What pot takes where pot.conf says nothing. Written by pot-sim init.\n" + "".join(lines))
    if not os.path.exists(own):
        _put(own, "# Settings of this root; see pot.default.conf for their names.\n")


def _executable(root: Root, name: str, module: str) -> None:
    python = os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)
    source = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    _put(f"{root.bin}/{name}", _SCRIPT.format(python=python, source=source, module=module), mode=0o755)


def _put(path: str, text: str, *, mode: int = 0o644) -> None:
    """At once: commands of this root may be under way."""
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(temporary, mode)
    os.rename(temporary, path)
