"""The file system that a jail sees: the pot's `m`, what is mounted into it, its own /proc and /dev, and nothing else.

Sources are taken hold of before the root changes and attached after it, so that a symbolic link in the pot can
never lead a mount out of it. An image made from the host's own /usr lists in `/.host` which of the host's
directories it shows, read-only.

Not here: namespaces (see `jailer`), what is mounted where (pot's fscomp.conf, see `JailSpec`).
"""

from __future__ import annotations

import os
import sys

from pot_sim import linux

HOST_LIST = "/.host"
HOST_CHROOT = "/sbin/.chroot"  # in an image that has a chroot of its own, the host's
TMPFS = "tmpfs"  # as the source of a mount: an empty file system in memory
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"}


class MountFailed(Exception):  # noqa: N818 - mount_nullfs' own words
    """A mount into a pot could not be made."""


def host_directories() -> tuple[str, ...]:
    """The host's directories that an image may show: where programs and their libraries lie."""
    candidates = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/ssl/certs"]
    if not sys.base_prefix.startswith("/usr"):
        candidates.append(sys.base_prefix)
    return tuple(path for path in candidates if os.path.isdir(path) and not os.path.islink(path))


def enter(path: str, mounts: tuple[tuple[str, str, bool], ...], *, own_users: bool) -> None:
    """Make `path` the root of this process, whose mount and pid namespaces are new.

    `mounts` are (source, target, read-only), the target as the jail sees it, in order. `own_users`: this is not
    the host's root, and the kernel copies mounts only with all that is mounted below them.
    """
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    trees = [_take(path, own_users=own_users)]
    host = [(d, d, True) for d in shown(path)]
    wanted = [(t, r, None if s == TMPFS else _take(s, own_users=own_users)) for s, t, r in (*host, *mounts)]
    devices = [(name, _take("/dev/" + name, own_users=False)) for name in _DEVICES]
    linux.move_mount(trees[0], path)
    os.chdir(path)
    linux.pivot_root(".", ".")
    # "/" is the pot from here on; the host's root is still stacked above it, where only its own umount reaches it.
    _mount_dev(devices)
    _mount_proc()
    linux.umount(".", linux.MNT_DETACH)
    os.chdir("/")
    for target, readonly, tree in wanted:
        _attach(target, readonly=readonly, tree=tree)
        if target == "/usr":
            _cover_commands()


def shown(path: str) -> list[str]:
    """The host's directories that the pot with this root shows."""
    try:
        with open(path + HOST_LIST, encoding="utf-8") as file:
            wanted = file.read().splitlines()
    except FileNotFoundError:
        return []
    allowed = host_directories()
    return [d for d in wanted if d in allowed and os.path.isdir(path + d)]


def _take(source: str, *, own_users: bool) -> int:
    try:
        return linux.open_tree(source, recursive=own_users)
    except OSError as error:
        raise MountFailed(f"mount_nullfs: {source}: {error.strerror}") from error


def _attach(target: str, *, readonly: bool, tree: int | None) -> None:
    try:
        if tree is None:
            linux.mount(TMPFS, target, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=1777")
            return
        if readonly:
            linux.set_readonly(tree)
        linux.move_mount(tree, target)
        os.close(tree)
        if target == "/":
            _go_to_top()
    except OSError as error:
        raise MountFailed(f"mount_nullfs: {target}: {error.strerror}") from error


def _cover_commands() -> None:
    """Let what the pot has in /sbin stand for the host's own commands: a PATH may begin with /usr/sbin."""
    if os.path.isfile(HOST_CHROOT) and os.path.exists("/usr/sbin/chroot"):
        tree = linux.open_tree("/usr/sbin/chroot")
        linux.move_mount(tree, HOST_CHROOT)
        os.close(tree)
    for name in ("chroot", "ifconfig", "route", "rtsol"):
        if os.path.exists("/usr/sbin/" + name) and os.path.isfile("/sbin/" + name):
            tree = linux.open_tree("/sbin/" + name)
            linux.move_mount(tree, "/usr/sbin/" + name)
            os.close(tree)


def _go_to_top() -> None:
    """What has been mounted on the root is the root now."""
    namespace = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    linux.setns(namespace, linux.NEWNS)
    os.close(namespace)


def _mount_dev(devices: list[tuple[str, int]]) -> None:
    _directory("/dev")
    linux.mount(TMPFS, "/dev", "tmpfs", linux.MS_NOSUID, "mode=755,size=64k")
    for name, tree in devices:
        os.close(os.open("/dev/" + name, os.O_CREAT | os.O_WRONLY))
        linux.move_mount(tree, "/dev/" + name)
        os.close(tree)
    for name, target in _LINKS.items():
        os.symlink(target, "/dev/" + name)
    os.mkdir("/dev/pts")
    linux.mount("devpts", "/dev/pts", "devpts", linux.MS_NOSUID | linux.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620")
    os.mkdir("/dev/shm")
    linux.mount(TMPFS, "/dev/shm", "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=1777")


def _mount_proc() -> None:
    _directory("/proc")
    linux.mount("proc", "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)


def _directory(path: str) -> None:
    if not os.path.isdir(path) or os.path.islink(path):
        os.mkdir(path)
