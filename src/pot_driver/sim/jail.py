"""Jails as sets of Linux namespaces: what jail(8), jexec(8) and killall -j do.

A jail is its process 1 (see `init`), found again through its record (see `registry`) by whoever comes later; no
process that made or joined it need live on.

Not here: how one is put together (see `jailer`, `rootfs`), pot's states and files.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from pot_driver.sim import jailer, linux, registry, rootfs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import IO

    from pot_driver.sim.network import NetworkSpec
    from pot_driver.sim.root import Root

_PACKAGES = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_NAMESPACES = linux.NEWNS | linux.NEWUTS | linux.NEWIPC | linux.NEWNET
_PATH = "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
_ENDING_S = 10.0  # after SIGKILL: long past what the kernel needs

# What root in a jail may do: CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE
# SYS_CHROOT AUDIT_WRITE SETFCAP. Neither mount, nor device nodes, nor other processes' memory, nor the clock.
_CAPABILITIES = frozenset({0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 29, 31})
_NET_ADMIN, _NET_RAW, _IPC_LOCK = 12, 13, 14


class JailError(Exception):
    """What jail(8) or jexec(8) says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A directory of the host in a pot (mount_nullfs); source `tmpfs` is an empty file system in memory."""

    source: str
    target: str  # on the host, below the pot's m
    readonly: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JailSpec:
    """All that makes a jail."""

    name: str
    path: str  # the pot's m
    hostname: str
    mounts: tuple[Mount, ...] = ()
    network: NetworkSpec | None = None  # None: the host's own stack
    persist: bool = False
    params: Mapping[str, str] = field(default_factory=dict)  # jail(8)'s, e.g. allow.raw_sockets
    memory_bytes: int | None = None
    cpus: int | None = None


def create(root: Root, spec: JailSpec, *, helper_sleep: bool = True) -> int:
    """Make the jail and return its jid. Without `helper_sleep` only a persistent jail stays."""
    made = subprocess.run(
        _jailer(spec.name),
        input=marshal.dumps({"run": root.run, "helper": helper_sleep} | _described(root, spec)),
        capture_output=True,
        env={},
        start_new_session=True,
        check=False,
    )
    said = made.stderr.decode(errors="replace").strip()
    if made.returncode:
        raise JailError(said)
    if said:
        print(said, file=sys.stderr)
    return int(made.stdout)


def _jailer(name: str) -> list[str]:
    program = f"import sys; sys.path.insert(0, {_PACKAGES!r}); from pot_driver.sim import jailer; jailer.main()"
    return [sys.executable, "-IS", "-c", program, name]


def _described(root: Root, spec: JailSpec) -> dict[str, object]:
    from pot_driver.sim import network  # noqa: PLC0415 (most jails have the host's)

    capabilities = set(_CAPABILITIES)
    own_network = spec.network and network.described(root, spec.network)
    if own_network:
        capabilities |= {_NET_ADMIN, _NET_RAW}
    if spec.params.get("allow.raw_sockets") == "1":
        capabilities.add(_NET_RAW)
    if spec.params.get("allow.mlock") == "1":
        capabilities.add(_IPC_LOCK)
    return {
        "name": spec.name,
        "path": spec.path,
        "hostname": spec.hostname,
        "mounts": tuple((m.source, _inside(spec.path, m.target), m.readonly) for m in spec.mounts),
        "network": own_network,
        "persist": spec.persist,
        "capabilities": sorted(capabilities),
        "own_users": False,
    }


def _inside(path: str, target: str) -> str:
    """A place on the host below `path`, as the jail sees it."""
    inside = os.path.relpath(target, path)
    if inside.startswith(".."):
        raise JailError(f"mount_nullfs: {target}: not below {path}")
    return os.path.normpath("/" + inside)


def jid(root: Root, name: str) -> int | None:
    record = registry.running(root.run, name)
    return record.jid if record else None


def names(root: Root) -> dict[str, int]:
    """The jails that live, in the order of their jids."""
    living = ((name, jid(root, name)) for name in registry.recorded(root.run))
    return dict(sorted(((name, number) for name, number in living if number), key=lambda item: item[1]))


def pids(root: Root, name: str) -> list[int]:
    """The host's pids of the jail's processes, without its process 1, which FreeBSD has no need of."""
    record = registry.running(root.run, name)
    return _pids(record) if record else []


def _pids(record: registry.Record) -> list[int]:
    try:
        wanted = os.stat(f"/proc/{record.pid}/ns/pid").st_ino
    except OSError:
        return []
    found = []
    for pid in (int(entry) for entry in os.listdir("/proc") if entry.isdigit()):
        with contextlib.suppress(OSError):  # ended meanwhile
            if pid != record.pid and os.stat(f"/proc/{pid}/ns/pid").st_ino == wanted:
                found.append(pid)
    return [pid for pid in sorted(found) if registry.is_alive(pid, registry.start_time(pid))]


def signal_all(root: Root, name: str, signum: int) -> None:
    _signal(pids(root, name), signum)


def _signal(processes: Iterable[int], signum: int) -> None:
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signum)


def end_helper(root: Root, name: str) -> None:
    """End the sleep which held the new jail; the jail ends if nothing else runs in it."""
    for pid in pids(root, name):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
            if file.read() == b"sleep\x001234\x00":
                os.kill(pid, signal.SIGKILL)


def attach(
    root: Root,
    name: str,
    argv: list[str] | tuple[str, ...],
    *,
    env: Mapping[str, str],
    cwd: str = "/",
    stdin: int | IO[bytes] | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    user: str | None = None,
    pass_fds: tuple[int, ...] = (),
    ignored: tuple[int, ...] = (),
) -> subprocess.Popen[bytes]:
    """jexec: a child of this process, in its process group, that runs `argv` in the jail.

    `user` is a name of the jail's passwd, or uid:gid. The signals in `ignored` are ignored by the command.
    """
    record = registry.running(root.run, name)
    if record is None:
        raise JailError(f'jexec: jail "{name}" not found')
    pidfd = os.pidfd_open(record.pid)
    own = os.open("/proc/thread-self/ns/pid", os.O_RDONLY)

    def run() -> NoReturn:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
        _close_all_but(pass_fds)
        linux.setns(pidfd, _NAMESPACES)
        linux.limit_capabilities(frozenset(map(int, record.fields["capabilities"].split())))
        if user is not None:
            become(user)
        os.chdir(cwd)
        execute(argv, env)

    try:
        linux.setns(pidfd, linux.NEWPID)  # for the children of this process
        return subprocess.Popen(
            list(argv), stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=pass_fds, preexec_fn=_or_say("jexec", run)
        )
    except OSError as error:  # the jail ended just now
        raise JailError(f'jexec: jail "{name}" not found') from error
    finally:
        linux.setns(own, linux.NEWPID)
        os.close(own)
        os.close(pidfd)


def exec_attach(
    root: Root,
    name: str,
    argv: list[str] | tuple[str, ...],
    *,
    env: Mapping[str, str],
    cwd: str = "/",
    user: str | None = None,
    pass_fds: tuple[int, ...] = (),
) -> NoReturn:
    """`attach`, and this process ends as the command did."""
    mirror(attach(root, name, argv, env=env, cwd=cwd, user=user, pass_fds=pass_fds).wait())


def mirror(status: int) -> NoReturn:
    """End as a process with this Popen status ended."""
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
        os._exit(128 - status)
    os._exit(status)


def _or_say(program: str, run: Callable[[], NoReturn]) -> Callable[[], NoReturn]:
    def guarded() -> NoReturn:
        try:
            run()
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            os.write(2, f"{program}: {where}{error.strerror}\n".encode(errors="surrogateescape"))
        except (JailError, rootfs.MountFailed) as error:
            os.write(2, f"{error}\n".encode())
        finally:
            os._exit(1)

    return guarded


def _close_all_but(kept: tuple[int, ...]) -> None:
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd > 2 and fd not in kept:
            with contextlib.suppress(OSError):
                os.set_inheritable(fd, False)


def become(user: str) -> None:
    """Be a user of the file system that is the root now."""
    if ":" in user:
        uid, gid, groups = *map(int, user.split(":")), []
    else:
        uid, gid = _account(user)
        groups = [int(g[2]) for g in _entries("/etc/group") if len(g) > 3 and user in g[3].split(",")]
    os.setgroups([gid, *groups])
    os.setgid(gid)
    os.setuid(uid)


def _account(user: str) -> tuple[int, int]:
    for entry in _entries("/etc/passwd"):
        if entry[0] == user:
            return int(entry[2]), int(entry[3])
    raise JailError(f"jexec: {user}: no such user")


def _entries(path: str) -> list[list[str]]:
    with open(path, encoding="utf-8", errors="replace") as file:
        return [line.rstrip("\n").split(":") for line in file]


def execute(argv: list[str] | tuple[str, ...], env: Mapping[str, str]) -> NoReturn:
    """execvp(3): PATH is searched, and a file that the kernel does not know is the shell's."""
    command = argv[0]
    if "/" in command:
        candidates = [command]
    else:
        candidates = [f"{directory}/{command}" for directory in env.get("PATH", _PATH).split(":")]
    failure: OSError = FileNotFoundError(2, "No such file or directory")
    for path in candidates:
        try:
            os.execve(path, list(argv), dict(env))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError as error:
            failure = error
        except OSError as error:
            if error.errno != 8:  # ENOEXEC
                raise
            os.execve("/bin/sh", ["sh", path, *argv[1:]], dict(env))
    raise OSError(failure.errno, failure.strerror, f"execvp: {command}")


def remove(root: Root, name: str, *, stop_timeout: float, exec_stop: str = "") -> None:
    """jail -r: `exec_stop` in the jail, SIGTERM to all, wait, SIGKILL to the rest; a timeout of 0: SIGKILL at once."""
    record = registry.running(root.run, name)
    if record is not None:
        if exec_stop:
            with contextlib.suppress(JailError):
                attach(root, name, ["/bin/sh", "-c", exec_stop], env={"PATH": _PATH}).wait()
        if stop_timeout > 0:
            _signal(_pids(record), signal.SIGTERM)
            _await_end(record, stop_timeout)
        processes = _pids(record)
        _signal([record.pid], signal.SIGKILL)
        _await_all(processes, _ENDING_S)
        while record.alive:  # not its pidfd: it stays until all others are reaped, perhaps by our caller
            time.sleep(0.001)
    forget(root, name)


def forget(root: Root, name: str) -> None:
    """Drop what a jail that has ended left below the root."""
    from pot_driver.sim import network  # noqa: PLC0415

    with jailer.lock(root.run, "jails"):
        network.down(root, name)
        if registry.running(root.run, name) is None:
            registry.remove(root.run, name)


def remove_all(root: Root) -> None:
    """End every jail of this root."""
    for name in registry.recorded(root.run):
        remove(root, name, stop_timeout=0)


def _await_end(record: registry.Record, seconds: float) -> None:
    """Until no process of the jail but its first is left, or the time is over."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and (processes := _pids(record)):
        _await_all(processes, left)


def _await_all(processes: list[int], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for pid in processes:
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        select.select([fd], [], [], max(0.0, deadline - time.monotonic()))
        os.close(fd)


def enter_stopped(
    root: Root,
    name: str,
    argv: list[str] | tuple[str, ...],
    *,
    mounts: tuple[Mount, ...] = (),
    env: Mapping[str, str] | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """chroot into the root of a pot that need not run: `argv` sees what it would see there, and no network."""
    path = root.m(name)
    inside = tuple((m.source, _inside(path, m.target), m.readonly) for m in mounts)

    def run() -> NoReturn:
        _close_all_but(())
        linux.unshare(_NAMESPACES | linux.NEWPID)
        pid = os.fork()
        if pid:
            mirror(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        linux.die_with_parent()
        rootfs.enter(path, inside, own_users=False)
        linux.limit_capabilities(_CAPABILITIES)
        execute(argv, env or {"PATH": _PATH})

    return subprocess.Popen(
        list(argv), stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, preexec_fn=_or_say("chroot", run)
    )
