"""What a root has left on this machine, and whether this machine can run pots at all.

Not here: cleaning up (`install`).
"""

from __future__ import annotations

import os

from pot_sim import cgroups, linux, privilege

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pot_sim.root import Root


def leftovers(root: Root) -> list[str]:
    """Everything outside its own directory that this root still holds; empty when no pot of it runs."""
    return [*_processes(root), *_mounts(root), *_cgroups(root)]


def incapable() -> str:
    """Why this machine can run no pots, for this user; empty if it can."""
    own_user = 0 if privilege.is_capable() else linux.NEWUSER
    wanted = linux.NEWNS | linux.NEWPID | linux.NEWNET | linux.NEWUTS | linux.NEWIPC
    child = os.fork()
    if child == 0:
        try:
            linux.unshare(own_user | wanted)
        except OSError as error:
            os._exit(error.errno or 1)
        os._exit(0)
    number = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if not number:
        return ""
    who = "root" if os.geteuid() == 0 else "this user"
    return f"{who} gets no new namespaces here ({os.strerror(number)}). {privilege.ADVICE}"


def _processes(root: Root) -> Iterator[str]:
    """Processes with the root on their command line, or in a mount namespace that shows a part of it."""
    own = os.stat("/proc/self/ns/mnt").st_ino
    places = {device: place for device, inside, place in _mount_table("self") if inside == "/"}
    for pid in (int(entry) for entry in os.listdir("/proc") if entry.isdigit()):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().decode(errors="surrogateescape").split("\0")
            shown = os.stat(f"/proc/{pid}/ns/mnt").st_ino != own and any(
                _is_below(places.get(device, "").rstrip("/") + inside, root)
                for device, inside, _ in _mount_table(str(pid))
            )
        except OSError:  # it has ended, or has nothing any more
            continue
        if pid not in (os.getpid(), privilege.holder_of(root)) and (
            shown or any(_is_below(word, root) for word in words)
        ):
            yield f"process {pid}: {' '.join(words).strip()}"


def _mount_table(pid: str) -> Iterator[tuple[str, str, str]]:
    """(device, directory on it, where that is mounted)."""
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            _, _, device, inside, place, *_ = line.split()
            yield device, inside, place


def _mounts(root: Root) -> Iterator[str]:
    return (f"mount {place}" for _, _, place in _mount_table("self") if _is_below(place, root))


def _cgroups(root: Root) -> Iterator[str]:
    return (f"cgroup {path}" for path in cgroups.left(root.run))


def _is_below(path: str, root: Root) -> bool:
    return path == root.path or path.startswith(root.path + "/")
