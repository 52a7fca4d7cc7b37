"""Datasets, snapshots, clones and their origins, as far as pot's use of zfs can be seen.

A dataset `jails/N` or `jails/N/m` is a directory below `POT_FS_ROOT`; that it is a dataset, and which snapshots
and which origin it has, stands below `ROOT/zfs`, where the snapshots are kept as copies.

Not here: what an image file holds (`images`).
"""

from __future__ import annotations

import os
import time

from pot_sim import dying, faults
from pot_sim.shell import ToolFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pot_sim.root import Root

PREFIX = "@"  # a snapshot's directory in the dataset's own
CHILD = "m"  # the only child a dataset of a pot has


class ZfsError(ToolFailed):
    """What zfs says on stderr."""


def exists(root: Root, dataset: str) -> bool:
    """No component of a dataset's name is empty, or leads somewhere else."""
    return not {"", ".", ".."} & set(dataset.split("/")) and os.path.isdir(_meta(root, dataset))


def mountpoint(root: Root, dataset: str) -> str:
    return f"{root.fs}/{dataset}"


def create(root: Root, dataset: str) -> None:
    os.makedirs(_meta(root, dataset), exist_ok=True)
    os.makedirs(mountpoint(root, dataset), exist_ok=True)


def adopt(root: Root, dataset: str) -> None:
    """What lies at the mount point is a dataset from now on."""
    os.makedirs(_meta(root, dataset), exist_ok=True)


def children(root: Root, dataset: str) -> list[str]:
    """The dataset and what is below it."""
    below = f"{dataset}/{CHILD}"
    return [dataset, below] if exists(root, below) else [dataset]


def snapshots(root: Root, dataset: str) -> list[str]:
    """Tags, oldest first as far as their text tells."""
    try:
        entries = os.listdir(_meta(root, dataset))
    except FileNotFoundError:
        return []
    return sorted(entry[1:] for entry in entries if entry.startswith(PREFIX))


def snapshot(root: Root, dataset: str, tag: str) -> None:
    """`zfs snapshot -r`: the dataset and its child."""
    for each in children(root, dataset):
        target = snapshot_path(root, each, tag)
        if os.path.isdir(target):
            raise ZfsError(f"cannot create snapshot '{each}@{tag}': dataset already exists")
        os.makedirs(target)
        skip = CHILD if each == dataset and dataset.count("/") == 1 else ""
        for entry in os.listdir(mountpoint(root, each)):
            if entry != skip:
                copy(f"{mountpoint(root, each)}/{entry}", f"{target}/{entry}")


def snapshot_path(root: Root, dataset: str, tag: str) -> str:
    return f"{_meta(root, dataset)}/{PREFIX}{tag}"


def receive(root: Root, dataset: str, tag: str, origin: str, fill: Callable[[str], None]) -> None:
    """`zfs receive`: the dataset and its child with one snapshot and what `fill` puts there; whole, or not at all."""
    if exists(root, dataset):
        raise ZfsError(f"cannot receive new filesystem stream: destination '{dataset}' exists")
    work = f"receiving/{os.path.basename(dataset)}.{os.getpid()}"
    place, kept = f"{root.fs}/{work}", f"{root.zfs}/{work}"
    for parent in (os.path.dirname(place), os.path.dirname(kept)):
        _forget_killed(parent)
    try:
        os.makedirs(place)
        fill(place)
        os.makedirs(f"{kept}/{CHILD}")
        os.makedirs(f"{kept}/{PREFIX}{tag}")
        for entry in os.listdir(place):
            target = f"{CHILD}/{PREFIX}{tag}" if entry == CHILD else f"{PREFIX}{tag}/{entry}"
            copy(f"{place}/{entry}", f"{kept}/{target}")
        if origin:
            _write(f"{kept}/{CHILD}/origin", origin)
        if exists(root, dataset):  # another one was faster
            raise ZfsError(f"cannot receive new filesystem stream: destination '{dataset}' exists")
        remove(mountpoint(root, dataset))
        os.rename(place, mountpoint(root, dataset))
        os.rename(kept, _meta(root, dataset))
    finally:
        for left in (place, kept):
            remove(left)


def _forget_killed(parent: str) -> None:
    """Drop what receivers that are gone left half done."""
    os.makedirs(parent, exist_ok=True)
    for entry in os.listdir(parent):
        if not os.path.isdir("/proc/" + entry.rpartition(".")[2]):
            remove(f"{parent}/{entry}")


def rollback(root: Root, dataset: str, tag: str) -> None:
    place, kept = mountpoint(root, dataset), snapshot_path(root, dataset, tag)
    for entry in os.listdir(place):
        if entry != CHILD or not exists(root, f"{dataset}/{entry}"):
            remove(f"{place}/{entry}")
    for entry in os.listdir(kept):
        copy(f"{kept}/{entry}", f"{place}/{entry}")


def clone(root: Root, dataset: str, tag: str, new: str, names: str) -> None:
    pot = new.split("/")[1]
    if faults.on(root, "clone", pot):
        raise ZfsError("cannot clone: injected failure")
    full = faults.value(root, "disk-full", pot)
    if full is not None:
        raise ZfsError(f"cannot create '{names}/{new}': {full or 'out of space'}")
    if not exists(root, os.path.dirname(new)):
        raise ZfsError(f"cannot create '{names}/{new}': parent does not exist")
    adopt(root, new)
    pause = faults.value(root, "clone-slow", pot)
    if pause is not None:
        time.sleep(float(pause))
    copy(snapshot_path(root, dataset, tag), mountpoint(root, new))
    set_property(root, new, "origin", f"{dataset}@{tag}")


def destroy(root: Root, dataset: str, names: str) -> None:
    """The dataset, its snapshots and its child; refused while a clone of any of them lives."""
    refused = faults.value(root, "destroy", dataset.rpartition("/")[2])
    if refused is not None or dying.is_busy(root, dataset.removeprefix("jails/")):
        raise ZfsError(f"cannot destroy '{names}/{dataset}': {refused or 'dataset is busy'}")
    inner = [clone for clone in clones(root, dataset) if not clone.startswith(dataset + "/")]
    if inner:
        listed = "".join(f"\n{names}/{each}" for each in inner)
        raise ZfsError(
            f"cannot destroy '{names}/{dataset}': filesystem has dependent clones\n"
            f"use '-R' to destroy the following datasets:{listed}"
        )
    remove(mountpoint(root, dataset))
    remove(_meta(root, dataset))


def destroy_snapshot(root: Root, dataset: str, tag: str, names: str) -> None:
    """`zfs destroy -r`: that snapshot of the dataset and of its child."""
    if clones(root, dataset, tag):
        raise ZfsError(f"cannot destroy '{names}/{dataset}@{tag}': snapshot has dependent clones")
    for each in children(root, dataset):
        remove(snapshot_path(root, each, tag))


def rename(root: Root, dataset: str, new: str) -> None:
    os.rename(mountpoint(root, dataset), mountpoint(root, new))
    os.rename(_meta(root, dataset), _meta(root, new))
    for each in _all(root):
        origin = get_property(root, each, "origin")
        if origin.startswith((dataset + "/", dataset + "@")):
            set_property(root, each, "origin", new + origin.removeprefix(dataset))


def clones(root: Root, dataset: str, tag: str = "") -> list[str]:
    """Datasets whose origin is a snapshot of this one or of its child, the oldest first."""
    origins = tuple(f"{each}@{tag}" for each in children(root, dataset))
    matches = [
        each
        for each in _all(root)
        if (origin := get_property(root, each, "origin")) and (origin in origins if tag else origin.startswith(origins))
    ]
    return sorted(matches, key=lambda each: _made(root, each))


def _made(root: Root, dataset: str) -> int:
    try:
        return os.stat(_meta(root, dataset) + "/origin").st_mtime_ns
    except FileNotFoundError:  # destroyed meanwhile
        return 0


def get_property(root: Root, dataset: str, name: str) -> str:
    """Empty where zfs would print `-`."""
    try:
        with open(f"{_meta(root, dataset)}/{name}", encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def set_property(root: Root, dataset: str, name: str, value: str) -> None:
    _write(f"{_meta(root, dataset)}/{name}", value)


def used(root: Root, dataset: str) -> str:
    """As `zfs list -o used` writes it."""
    total = float(_du(mountpoint(root, dataset)))
    for unit in ("K", "M", "G"):
        total /= 1024
        if total < 1000:
            return f"{total:.3g}{unit}"
    return f"{total / 1024:.3g}T"


def copy(source: str, target: str) -> None:
    """A true copy: owners, modes, times, links, attributes."""
    _tool("cp", "-a", "--reflink=auto", "--", source, target)


def remove(path: str) -> None:
    if os.path.lexists(path):
        _tool("rm", "-rf", "--one-file-system", "--", path)


def _tool(*argv: str) -> None:
    """These two know every kind of file, and start faster than Python imports its own.

    As in a shell, a trap waits until the tool has ended.
    """
    import signal  # noqa: PLC0415 (most commands copy nothing)

    trapped = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        pid = os.posix_spawn("/bin/" + argv[0], argv, {"LC_ALL": "C"}, setsigmask=trapped)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, trapped)
    if status != 0:
        raise ZfsError(f"{argv[0]} ended with status {status}")


def _du(path: str) -> int:
    found = 0
    for directory, _, files in os.walk(path):
        for name in (".", *files):
            found += os.lstat(f"{directory}/{name}").st_blocks * 512
    return found


def _all(root: Root) -> Iterator[str]:
    for kind in ("jails", "fscomp"):
        try:
            entries = sorted(os.listdir(_meta(root, kind)))
        except FileNotFoundError:
            continue
        for entry in entries:
            yield from children(root, f"{kind}/{entry}")


def _meta(root: Root, dataset: str) -> str:
    return f"{root.zfs}/{dataset}"


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
