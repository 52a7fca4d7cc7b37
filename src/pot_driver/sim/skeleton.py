"""A pot's root that shows the host's own /usr: so small that an image of it is made, sent and cloned at once.

Not here: how the host's directories get into a jail (see `rootfs`), image files (see `images`).
"""

from __future__ import annotations

import os
import shutil
import sys

from pot_driver.sim import rootfs

_DIRECTORIES = ("dev", "etc", "mnt", "opt", "proc", "root", "tmp", "usr", "var/db", "var/log", "var/run", "var/tmp")
_OPEN = ("tmp", "var/tmp")
_FROM_HOST = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "services", "protocols", "localtime")
# The host's own lie over these in a jail; who looks into the root of a stopped pot sees that they are there.
_PROGRAMS = ("/bin/sh", "/bin/realpath", "/bin/cp", "/bin/ls", "/usr/bin/id", "/usr/sbin/chroot")
_FILES = {
    "etc/passwd": """\
root:*:0:0:Charlie &:/root:/bin/sh
daemon:*:1:1:Owner of many system processes:/root:/usr/sbin/nologin
www:*:80:80:World Wide Web Owner:/nonexistent:/usr/sbin/nologin
nobody:*:65534:65534:Unprivileged user:/nonexistent:/usr/sbin/nologin
""",
    "etc/group": "wheel:*:0:root\ndaemon:*:1:\ntty:*:4:\nwww:*:80:\nnogroup:*:65533:\nnobody:*:65534:\n",
    "etc/hosts": "::1 localhost\n127.0.0.1 localhost\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


def is_complete(directory: str) -> bool:
    """It brings its own shell and programs, and so needs nothing of the host's."""
    return any(os.path.lexists(f"{directory}/{shell}") for shell in ("bin/sh", "usr/bin/sh"))


def make(directory: str) -> None:
    """Lay the skeleton out in an existing directory."""
    for name in _DIRECTORIES:
        os.makedirs(f"{directory}/{name}")
    for name in _OPEN:
        os.chmod(f"{directory}/{name}", 0o1777)
    os.chmod(directory + "/root", 0o750)
    for name, text in _FILES.items():
        write(f"{directory}/{name}", text)
    for name in _FROM_HOST:
        _copy("/etc/" + name, f"{directory}/etc/{name}")
    shown = rootfs.host_directories()
    for path in shown:
        os.makedirs(directory + path, exist_ok=True)
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        if os.path.islink("/" + name):
            os.symlink(os.readlink("/" + name), f"{directory}/{name}")
    if not os.path.lexists("/usr/bin/python3") and "/sbin" not in shown:
        _add_python(directory + "/sbin")
    for path in _PROGRAMS:
        os.makedirs(os.path.realpath(os.path.dirname(directory + path)), exist_ok=True)
        write(directory + path, "", mode=0o755)
    write(directory + rootfs.HOST_LIST, "".join(path + "\n" for path in shown))


def _add_python(place: str) -> None:
    """Make /sbin a directory of its own, which leads to the host's and to the Python that runs this."""
    os.unlink(place)
    os.mkdir(place)
    for name in os.listdir("/usr/sbin"):
        os.symlink("../usr/sbin/" + name, f"{place}/{name}")
    os.symlink(sys.base_prefix + "/bin/python3", place + "/python3")


def write(path: str, text: str, *, mode: int = 0o644) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


def _copy(source: str, target: str) -> None:
    if os.path.isdir(source):
        shutil.copytree(source, target, symlinks=True)
    elif os.path.exists(source):
        shutil.copy(source, target)
