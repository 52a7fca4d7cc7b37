"""pot's two locks: one for the whole host, one for each pot's status.

The host-wide one is lockf(1) around a second pot, and what happens when one of the three processes is killed follows
from there being three: killing the first leaves lockf and the inner pot at work; killing lockf frees the lock while
the inner pot goes on; only the process group ends all. There is no time limit.

Not here: which commands take the lock (`session`), the undo of a half-made clone (`commands/clone`).
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress

from pot_sim.shell import complain, end, guarded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pot_sim.root import Root

RECURSIVE = "_POT_RECURSIVE"  # in the environment: this is a nested call, the lock is held

_EX_SOFTWARE = 70  # lockf: the command died of a signal
_EX_CANTCREAT = 73  # lockf: no lock file


def host_lock(root: Root) -> str:
    """`/tmp/pot-lock-file`: not below POT_TMP, so it stays where it is when a pot.conf moves that."""
    return root.path + "/tmp/pot-lock-file"


def run_locked(root: Root, inner_pot: Callable[[], int]) -> int:
    """Outer pot, lockf, inner pot: returns, in the outer one, lockf's status."""
    os.environ[RECURSIVE] = "1"
    lockf = os.fork()
    if lockf == 0:
        _name("lockf")
        end(_lockf(root, inner_pot))
    return _status(lockf)


def _lockf(root: Root, inner_pot: Callable[[], int]) -> int:
    path = host_lock(root)
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        complain(f"lockf: cannot open {path}: {error.strerror}")
        return _EX_CANTCREAT
    fcntl.flock(lock, fcntl.LOCK_EX)
    inner = os.fork()
    if inner == 0:
        os.close(lock)  # the lock is lockf's alone
        _name("pot")
        end(guarded(inner_pot))
    _, status = os.waitpid(inner, 0)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else _EX_SOFTWARE


def _status(pid: int) -> int:
    """A child's status as the shell tells it."""
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status if status >= 0 else 128 - status


def _name(name: str) -> None:
    """What `ps` shows as the command."""
    with open("/proc/self/comm", "w", encoding="ascii") as file:
        file.write(name)


@contextmanager
def of_pot(root: Root, name: str) -> Iterator[None]:
    """As lockf without `-k`: the file is gone afterwards, so who waited for it has to look again."""
    path = f"{root.tmp}/pot-lock-{name}"
    while True:
        lock = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            if os.stat(path).st_ino == os.fstat(lock).st_ino:
                break
        except FileNotFoundError:
            pass
        os.close(lock)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            os.unlink(path)
        os.close(lock)
