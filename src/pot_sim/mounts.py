"""What fscomp.conf mounts into a pot: checked, made for a moment around a stopped pot, changed on a running one.

A running pot's mounts live in its own mount namespace. For a stopped pot pot mounts everything, does its work and
unmounts again; here that work is a child process with a mount namespace of its own, so nothing can be left behind.

Not here: the root of a running pot (`rootfs`), editing fscomp.conf (`commands/mount_in`).
"""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

from pot_sim import conf, faults, linux, mounted, pots, registry, rootfs, zfs
from pot_sim.shell import complain, end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from pot_sim.root import Root
    from pot_sim.session import Pot

TMPFS = rootfs.TMPFS
REMOUNT = "zfs-remount"
_NOT_MOUNTED = 254
# mount(8)'s, as far as they mean something to nullfs; all but the first two change nothing here
_OPTIONS = frozenset("ro rw rdonly noatime noexec nosuid nosymfollow nocover sync async acls union".split())  # noqa: SIM905


class Entry(NamedTuple):
    """One line of fscomp.conf, as it is to be mounted."""

    source: str  # a directory of the host, or TMPFS
    target: str  # on the host, below the pot's m
    option: str  # "", "ro", "rw", REMOUNT; anything else is mount_nullfs' error
    dataset: str = ""  # the line names this, and not its directory


def entries(pot: Pot, name: str) -> list[Entry]:
    """What pot mounts, in its order."""
    return [entry for entry in _lines(pot, name) if not _is_empty(entry)] + _tmpfs(pot, name)


def real_target(root: Root, name: str, target: str) -> str | None:
    """Where the host mounts that: links on the way are followed. None for a place outside the pot's root.

    The host's own tree is left alone here: what FreeBSD would mount outside the pot is mounted nowhere.
    """
    place = os.path.realpath(root.m(name))
    real = os.path.realpath(target)
    inside = real == place or real.startswith(place + "/")
    return root.m(name) + real.removeprefix(place) if inside else None


def _tmpfs(pot: Pot, name: str) -> list[Entry]:
    return [Entry(TMPFS, pot.root.m(name) + "/tmp", "")] if has_tmpfs(pot.root, name) else []


def _is_empty(entry: Entry) -> bool:
    return not entry.source and not entry.dataset


def _lines(pot: Pot, name: str) -> list[Entry]:
    """One for each line of fscomp.conf; for an empty one nothing, on the pot's root."""
    conf.update_fscomp(pot.root, name)
    found = []
    for source, mountpoint, option in conf.fscomp(pot.root, name):
        target = (pot.root.m(name) + mountpoint).removesuffix("/")
        if not source or source.startswith("/"):
            found.append(Entry(source, target, option))
        else:
            found.append(Entry(_dataset_place(pot, source), target, option, source))
    return found


def is_readonly(entry: Entry) -> bool:
    """The last word about that counts."""
    words = [word for word in entry.option.split(",") if word in ("ro", "rdonly", "rw")]
    return bool(words) and words[-1] != "rw"


def has_tmpfs(root: Root, name: str) -> bool:
    return conf.get(root, name, "pot.attr.no-tmpfs") != "YES"


def tmp_directory(root: Root, name: str) -> str:
    """Where the host finds a starting pot's /tmp: its tmpfs is a directory that lasts from start to stop."""
    return f"{root.run}/tmpfs/{name}" if has_tmpfs(root, name) else root.m(name) + "/tmp"


def renew_tmpfs(root: Root, name: str) -> None:
    place = tmp_directory(root, name)
    if has_tmpfs(root, name):
        zfs.remove(place)
        os.makedirs(place)
        os.chmod(place, 0o1777)


def check(pot: Pot, name: str) -> bool:
    """Would they all mount? If not, pot's errors have been printed."""
    return _around(pot, name, lambda: 0) == 0


def around(pot: Pot, name: str, action: Callable[[], int], *, at_any_rate: bool = False) -> int | None:
    """Do `action`, in a child, with everything mounted, or what could be; its status, None if it was not done."""
    status = _around(pot, name, action, at_any_rate=at_any_rate)
    return None if status == _NOT_MOUNTED else status


def in_pot(pot: Pot, name: str, argv: list[str]) -> NoReturn:
    """For `around`: go into the pot's root and become `argv`."""
    os.chroot(pot.root.m(name))
    os.chdir("/")
    os.execve(argv[0], argv, dict(os.environ))


def bind(source: str, target: str, *, readonly: bool = False) -> None:
    """For `around`: one more directory."""
    tree = linux.open_tree(source, recursive=True)
    if readonly:
        linux.set_readonly(tree)
    linux.move_mount(tree, target)
    os.close(tree)


def unmounted(pot: Pot, name: str) -> None:
    """What pot says with -v while it unmounts; the kernel has done it already."""
    there = mounted.take(pot.root, name)

    def say(target: str) -> None:
        pot.debug(f"unmount {target}" if target in there else f"{target} is already unmounted")

    place = pot.root.m(name)
    if has_tmpfs(pot.root, name):
        say(place + "/tmp")
    else:
        pot.debug("Not umounting tmpfs because of no-tmppfs attribure")
    zfs.remove(f"{pot.root.run}/tmpfs/{name}")
    for attribute, inside in (("fdescfs", "/dev/fs"), ("", "/dev"), ("procfs", "/proc")):
        if not attribute or conf.get(pot.root, name, f"pot.attr.{attribute}") == "YES":
            say(place + inside)
    for entry in reversed(_lines(pot, name)):
        if entry.option == REMOUNT:
            home = f"{pot.root.jail(name)}/{os.path.basename(entry.dataset)}"
            pot.debug(f"stop: the dataset {entry.dataset} is mounted at {home}")
        else:
            say(entry.target)


def attach(root: Root, name: str, source: str, inside: str, *, readonly: bool) -> None:
    """Mount a directory of the host into a running pot."""
    tree = linux.open_tree(source)
    if readonly:
        linux.set_readonly(tree)
    _in_jail(root, name, lambda: linux.move_mount(tree, inside))
    os.close(tree)


def detach(root: Root, name: str, inside: str) -> None:
    """Unmount it again."""
    _in_jail(root, name, lambda: linux.umount(inside, linux.MNT_DETACH))


def _in_jail(root: Root, name: str, act: Callable[[], None]) -> None:
    record = registry.running(root.run, name)
    if record is None:
        raise OSError(2, f"jail {name} not found")
    handle = os.pidfd_open(record.pid)
    child = os.fork()
    if child == 0:
        try:
            linux.setns(handle, linux.NEWNS)
            act()
        except OSError as error:
            end(error.errno or 1)
        end(0)
    os.close(handle)
    number = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if number:
        raise OSError(number, os.strerror(number))


def _around(pot: Pot, name: str, action: Callable[[], int], *, at_any_rate: bool = False) -> int:
    if not pots.check(pot, name):
        return _NOT_MOUNTED
    child = os.fork()
    if child == 0:
        try:
            linux.unshare(linux.NEWNS)
            linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
            end(action() if _mount_all(pot, name) or at_any_rate else _NOT_MOUNTED)
        except OSError as error:
            complain(f"{error.filename or 'pot'}: {error.strerror}")
        end(127)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _mount_all(pot: Pot, name: str) -> bool:
    for directory in rootfs.shown(pot.root.m(name)):
        bind(directory, pot.root.m(name) + directory, readonly=True)
    there: set[tuple[str, str]] = set()
    for entry in [*_lines(pot, name), *_tmpfs(pot, name)]:
        if _is_empty(entry):
            pot.debug("Empty line found. Skipping.")
        elif not _mounted(pot, name, entry, there):
            return False
    if not has_tmpfs(pot.root, name):
        pot.debug("Not mounting tmpfs because of no-tmppfs attribure")
    return True


def _mounted(pot: Pot, name: str, entry: Entry, there: set[tuple[str, str]]) -> bool:
    """One of them, with pot's words for how that went; `there` are those before it."""
    if entry.option == REMOUNT and not (entry.dataset and entry.source):
        return _not_remounted(pot, entry)
    if entry.dataset and entry.option != REMOUNT and not _has_mountpoint(pot, entry.target):
        return False
    try:
        _mount(pot, name, entry, there)
    except OSError as error:
        if entry.source == TMPFS:
            pot.error("Error mounting tmpfs")
        else:
            complain(f"mount_nullfs: {error.filename or entry.source}: {error.strerror}")
            pot.error(f"Error mounting {entry.source}" + ("" if entry.dataset else f" on {entry.target}"))
        return False
    mounted.note(pot.root, name, real_target(pot.root, name, entry.target) or os.path.realpath(entry.target))
    if entry.option == REMOUNT:
        pot.debug(f"_pot_mount: the dataset {entry.dataset} is mounted at {entry.target}")
    else:
        pot.debug(f"mount {entry.target}")
    return True


def _not_remounted(pot: Pot, entry: Entry) -> bool:
    named = entry.dataset or entry.source
    complain(f"cannot open '{named}': " + ("dataset does not exist" if entry.dataset else "invalid dataset name"))
    pot.error(f"_pot_mount: Dataset {named} not mounted at {entry.target}! Aborting")
    return False


def _has_mountpoint(pot: Pot, target: str) -> bool:
    """For a dataset, pot makes the last directory of the path."""
    if os.path.isdir(target):
        return True
    pot.debug(f"start: creating the missing mountpoint {target}")
    try:
        os.mkdir(target)
    except OSError as error:
        complain(f"mkdir: {target}: {error.strerror}")
        pot.error(f"Error creating the missing mountpoint {target}")
        return False
    return True


def _mount(pot: Pot, name: str, entry: Entry, there: set[tuple[str, str]]) -> None:
    target = real_target(pot.root, name, entry.target)
    if entry.source == TMPFS:
        if target is None:
            return
        linux.mount(TMPFS, target, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=1777")
        return
    if faults.on(pot.root, "mount", name):
        raise OSError(5, "Input/output error", entry.source)
    if entry.option != REMOUNT and not _OPTIONS.issuperset(filter(None, entry.option.split(","))):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), entry.option)
    if not os.path.isdir(entry.source):
        number = 20 if os.path.exists(entry.source) else 2
        raise OSError(number, os.strerror(number), entry.source)
    if not os.path.isdir(entry.target):
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), entry.target)
    pair = (entry.source, os.path.realpath(entry.target))
    if pair in there:
        raise OSError(errno.EDEADLK, os.strerror(errno.EDEADLK), entry.source)
    there.add(pair)
    if target is not None:
        bind(entry.source, target, readonly=is_readonly(entry))


def _dataset_place(pot: Pot, dataset: str) -> str:
    """Empty if there is no such dataset."""
    names = pot.config["POT_ZFS_ROOT"]
    if not zfs.exists(pot.root, dataset.removeprefix(names + "/")):
        return ""
    return dataset.replace(names, pot.root.fs, 1)
