"""Being root where pots are made: really, or in a user namespace that belongs to the root directory's owner.

All commands of one root meet in the same user namespace, which a process without any work holds open; else pots
could not be joined by later commands or to each other's network.

Not here: who may do what (pot's own check, in `session`).
"""

from __future__ import annotations

import contextlib
import os
import signal

from pot_sim import linux, mutex, registry
from pot_sim.root import is_mighty

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pot_sim.root import Root

ADVICE = (
    "Run it as root; in a container, in a privileged one; or allow unprivileged user namespaces "
    "(user.max_user_namespaces, kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)"
)
_EVERY_USER = "4294967295"  # as many as there are: the host's own user namespace


def is_offered(root: Root) -> bool:
    """Root of the host, or whoever owns the root directory, who is root there."""
    return os.geteuid() in (0, os.stat(root.path).st_uid)


def gain(root: Root) -> str:
    """Be root from now on; otherwise, why that cannot be."""
    if is_capable():
        return ""
    try:
        with mutex.lock(root.run, "privilege"):
            holder = holder_of(root) or _hold(root)
        namespace = os.open(f"/proc/{holder}/ns/user", os.O_RDONLY)
        linux.setns(namespace, linux.NEWUSER)
        os.close(namespace)
        linux.unshare(linux.NEWNS)  # only mounts of one's own may be copied
    except OSError as error:
        return f"neither root nor a user namespace: {error.strerror}. {ADVICE}"
    return ""


def is_capable() -> bool:
    """Root with what root may do, as opposed to that of an unprivileged container."""
    return os.geteuid() == 0 and is_mighty()


def is_own_namespace() -> bool:
    """The root that this process is is not the host's."""
    with open("/proc/self/uid_map", encoding="ascii") as file:
        return file.read().split() != ["0", "0", _EVERY_USER]


def drop(root: Root) -> None:
    """Let go of the root's user namespace, when nothing runs in it any more."""
    with mutex.lock(root.run, "privilege"):
        holder = holder_of(root)
        if holder:
            os.kill(holder, signal.SIGKILL)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_file(root))


def _file(root: Root) -> str:
    return root.run + "/privilege"


def holder_of(root: Root) -> int:
    """The process that holds the user namespace open; 0: none."""
    try:
        with open(_file(root), encoding="ascii") as file:
            pid, start = file.read().split()
    except (FileNotFoundError, ValueError):
        return 0
    return int(pid) if registry.is_alive(int(pid), start) else 0


def _hold(root: Root) -> int:
    uid, gid = os.geteuid(), os.getegid()
    ready, telling = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            linux.close_all_but(telling)
            linux.unshare(linux.NEWUSER)
            for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
                with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                    file.write(text)
            os.setsid()
            null = os.open("/dev/null", os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(null, fd)
            linux.set_process_name("privilege")
            os.write(telling, b"r")
            os.close(telling)
            signal.pause()
        except OSError as error:
            os.write(telling, bytes([error.errno or 1]))
        finally:
            os._exit(0)
    os.close(telling)
    word = os.read(ready, 1)
    os.close(ready)
    if word != b"r":
        number = word[0] if word else 1
        raise OSError(number, os.strerror(number))
    with open(_file(root), "w", encoding="ascii") as file:
        file.write(f"{pid} {registry.start_time(pid)}\n")
    return pid
