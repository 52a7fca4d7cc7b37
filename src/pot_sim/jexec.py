"""jexec(8): running a command in a jail.

The command is this process' child, in its process group and with its terminal; only the namespaces are the jail's.

Not here: a login's environment (`joining`), the jail itself (`jail`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import TYPE_CHECKING, NoReturn

from pot_sim import cgroups, linux, registry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import IO

    from pot_sim.root import Root

PATH = "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
_NAMESPACES = linux.NEWNS | linux.NEWUTS | linux.NEWIPC


class JailError(Exception):
    """What jail(8) or jexec(8) says."""


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
    told, telling = os.pipe()

    def run() -> NoReturn:
        _go_in(pidfd, telling)
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
        _close_all_but(pass_fds)
        _take_limits(record.fields)
        linux.setns(pidfd, _NAMESPACES | (linux.NEWNET if "switch" in record.fields else 0))
        linux.limit_capabilities(frozenset(map(int, record.fields["capabilities"].split())))
        if user is not None:
            _become(user)
        os.chdir(cwd)
        _execute(argv, env)

    try:
        process = subprocess.Popen(
            list(argv),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=pass_fds,
            preexec_fn=_or_say(run),  # noqa: PLW1509 - a pot command has one thread
        )
        os.waitpid(process.pid, 0)  # it only had a sibling
        os.close(telling)
        telling = -1
        process.pid = int(os.read(told, 16) or 0)
    finally:
        for fd in (pidfd, told, telling):
            if fd >= 0:
                os.close(fd)
    if not process.pid:
        process.returncode = 1
        raise JailError(f'jexec: jail "{name}" not found')  # it ended just now
    return process


def _go_in(pidfd: int, telling: int) -> None:
    """Go on as a process of the jail and a child of the one that attaches, which is told its pid."""
    try:
        linux.setns(pidfd, linux.NEWPID)
        pid = linux.fork_sibling()
    except OSError:
        os._exit(1)
    if pid:
        os.write(telling, str(pid).encode())
        os._exit(0)


def _or_say(run: Callable[[], NoReturn]) -> Callable[[], NoReturn]:
    def guarded() -> NoReturn:
        try:
            run()
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            os.write(2, f"jexec: {where}{error.strerror}\n".encode(errors="surrogateescape"))
        except JailError as error:
            os.write(2, f"{error}\n".encode())
        finally:
            os._exit(1)

    return guarded


def _take_limits(fields: Mapping[str, str]) -> None:
    if "cgroup" in fields:
        cgroups.enter(fields["cgroup"])
    if "cpus" in fields:
        os.sched_setaffinity(0, map(int, fields["cpus"].split()))


def _close_all_but(kept: tuple[int, ...]) -> None:
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd > 2 and fd not in kept:
            with contextlib.suppress(OSError):
                os.set_inheritable(fd, False)


def _become(user: str) -> None:
    """Be a user of the file system that is the root now."""
    if ":" in user:
        uid, gid, groups = *map(int, user.split(":")), []
    else:
        uid, gid = _account(user)
        groups = [int(g[2]) for g in _entries("/etc/group") if len(g) > 3 and user in g[3].split(",")]
    with contextlib.suppress(PermissionError):  # in a user namespace, which has no further groups
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


def _execute(argv: list[str] | tuple[str, ...], env: Mapping[str, str]) -> NoReturn:
    """execvp(3): PATH is searched, and a file that the kernel does not know is the shell's."""
    command = argv[0]
    if "/" in command:
        candidates = [command]
    else:
        candidates = [f"{directory}/{command}" for directory in env.get("PATH", PATH).split(":")]
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
