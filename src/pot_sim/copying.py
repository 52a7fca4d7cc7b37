"""copy-in and copy-out: the pot's own cp, run in the pot, with the host's side mounted at a temporary place in /tmp.

The temporary directories stay in the pot, empty, as pot leaves them, but for those of a running one.

Not here: the options (`commands/copy_in`, `commands/copy_out`).
"""

from __future__ import annotations

import os
import tempfile
from abc import ABC, abstractmethod

from pot_sim import faults, jail, mounts, pots
from pot_sim.shell import complain, end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pot_sim.session import Pot


class Job(ABC):
    """One copy: what is mounted from the host, and which commands run in the pot."""

    kind: str
    failure: str

    def __init__(self, pot: Pot, name: str, source: str, target: str, *, verbose: bool) -> None:
        self.pot, self.name, self.source, self.target = pot, name, source, target
        self.flags = "-va" if verbose else "-a"
        self.inside = ""  # the temporary directory, as the pot sees it

    @property
    @abstractmethod
    def mounted(self) -> str:
        """The host's directory."""

    @property
    @abstractmethod
    def copy(self) -> list[str]:
        """The command that copies."""

    def before(self) -> list[str]:
        """A command that comes first, or nothing."""
        return []


class In(Job):
    kind, failure = "copy-in", "Failed to mount source inside the pot"

    def __init__(self, pot: Pot, name: str, source: str, target: str, *, verbose: bool, make_parents: bool) -> None:
        super().__init__(pot, name, source, target, verbose=verbose)
        self._make_parents = make_parents

    @property
    def mounted(self) -> str:
        return os.path.dirname(self.source) or "." if os.path.isfile(self.source) else self.source

    @property
    def copy(self) -> list[str]:
        inside = self.inside
        if os.path.isfile(self.source):
            inside += "/" + os.path.basename(self.source)
        return ["/bin/cp", self.flags, inside, self.target]

    def before(self) -> list[str]:
        return ["/bin/mkdir", "-p", os.path.dirname(self.target.rstrip("/")) or "/"] if self._make_parents else []


class Out(Job):
    kind, failure = "copy-out", "Failed to mount destination inside the pot"

    @property
    def mounted(self) -> str:
        return self.target

    @property
    def copy(self) -> list[str]:
        return ["/bin/cp", self.flags, self.source, self.inside]


def source_is_valid(pot: Pot, source: str) -> bool:
    if not (os.path.isfile(source) or os.path.isdir(source)):
        pot.error(f"{source} not valid")
        return False
    if not os.access(source, os.R_OK):
        pot.error(f"{source} not readable")
        return False
    return True


def may_touch_running(pot: Pot, preposition: str, *, force: bool) -> bool:
    if force:
        pot.debug(f"Copying files {preposition} a running pot allowed, because of the -F flag")
        return True
    pot.error(
        f"Copying files {preposition} a running pot is discouraged, "
        "it can partially expose the host file system to the jail"
    )
    pot.info("Using the -F flag, the operation can be executed anyway, but we disagree")
    return False


def run(pot: Pot, name: str, job: Job) -> int:
    if pots.is_running(pot.root, name):
        return _in_running(pot, name, job)
    status = mounts.around(pot, name, lambda: _in_stopped(pot, name, job), at_any_rate=True)
    mounts.unmounted(pot, name)
    return 1 if status is None else status


def _in_stopped(pot: Pot, name: str, job: Job) -> int:
    """In the child in which the pot is mounted."""
    root = pot.root.m(name)
    if job.before() and not _told(pot, job, _chrooted(pot, name, job.before())):
        return 1
    try:
        place = tempfile.mkdtemp(prefix=f"{job.kind}.", dir=root + "/tmp")
    except OSError as error:
        complain(f"mktemp: mkdtemp failed on {root}/tmp/{job.kind}.XXXXXXXX: {error.strerror}")
        pot.error("Failed to build a temporary folder in the pot /tmp")
        return 1
    job.inside = "/tmp/" + os.path.basename(place)
    try:
        mounts.bind(job.mounted, place, readonly=job.kind == "copy-in")
    except OSError as error:
        complain(f"mount_nullfs: {job.mounted}: {error.strerror}")
        pot.error(job.failure)
        return 1
    return 0 if _told(pot, job, _chrooted(pot, name, job.copy)) else 1


def _in_running(pot: Pot, name: str, job: Job) -> int:
    if job.before() and not _told(pot, job, _attached(pot, name, job.before())):
        return 1
    place = tempfile.mkdtemp(prefix=f"{job.kind}.", dir=pot.root.m(name) + "/tmp")
    job.inside = "/tmp/" + os.path.basename(place)
    try:
        mounts.attach(pot.root, name, job.mounted, job.inside, readonly=job.kind == "copy-in")
    except OSError as error:
        complain(f"mount_nullfs: {job.mounted}: {error.strerror}")
        pot.error(job.failure)
        return 1
    try:
        return 0 if _told(pot, job, _attached(pot, name, job.copy)) else 1
    finally:
        mounts.detach(pot.root, name, job.inside)
        os.rmdir(place)


def _told(pot: Pot, job: Job, status: int) -> bool:
    """What pot says about a command that ended."""
    making = status is not None and not job.inside
    if making:
        text = f"Destination path {job.target} created in the pot {job.name}"
        failure = f"Destination path {job.target} NOT created because of an error"
    else:
        where = "in" if job.kind == "copy-in" else "from"
        text = f"Source {job.source} copied {where} the pot {job.name}"
        failure = f"Source {job.source} NOT copied because of an error"
    if status == 0:
        pot.debug(text)
    else:
        pot.error(failure)
    return status == 0


def _chrooted(pot: Pot, name: str, argv: list[str]) -> int:
    if argv[0] == "/bin/cp" and faults.on(pot.root, "disk-full", name):
        complain(f"{argv[0]}: {argv[-1]}: No space left on device")
        return 1
    child = os.fork()
    if child == 0:
        try:
            mounts.in_pot(pot, name, argv)
        except OSError as error:
            complain(f"jail: {argv[0]}: {error.strerror}")
        end(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        complain(f"jail: {' '.join(argv)}: failed")
    return status


def _attached(pot: Pot, name: str, argv: list[str]) -> int:
    try:
        return jail.attach(pot.root, name, argv, env=dict(os.environ)).wait()
    except jail.JailError as error:
        complain(str(error))
        return 1
