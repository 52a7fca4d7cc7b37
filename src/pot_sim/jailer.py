"""The program behind `jail -c`: makes the namespaces, starts process 1 in them and writes the jail's record.

It is a process of its own, in a session of its own, so that a `pot start` which is killed at any moment leaves
either no jail or a whole one that can be found. It reads one marshalled description from stdin and answers with
the jid on stdout, or with words on stderr and status 1.

Not here: the file system of a jail (see `rootfs`), its life (see `init`), joining it (see `jail`).
"""

from __future__ import annotations

import marshal
import os
import signal
import sys

from pot_sim import cgroups, init, linux, mutex, registry, rootfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HELPER = ("/bin/sh", "-c", "sleep 1234 &")  # holds a new jail until its command runs


class JailFailed(Exception):  # noqa: N818 - jail(8)'s own words
    """The jail could not be made."""


def main() -> None:
    spec = marshal.load(sys.stdin.buffer)
    try:
        print(launch(spec))
    except (JailFailed, rootfs.MountFailed) as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"jail: {error.filename or 'jail_set'}: {error.strerror}")


def launch(spec: dict[str, Any]) -> int:
    """Make the jail and return its jid."""
    if spec["network"] is None:
        return _launch(spec, None)
    from pot_sim import switch  # noqa: PLC0415 (most jails have the host's network)

    with mutex.lock(spec["run"], "network"):
        return _launch(spec, switch.open_namespace(spec["run"]))


def _launch(spec: dict[str, Any], switched: int | None) -> int:
    run, name = spec["run"], spec["name"]
    first = _First(spec, switched)
    limits: dict[str, str] = {}
    try:
        first.await_word()
        with mutex.lock(run, "jails"):
            _check_name(spec)
            jid = _next_jid(run)
        record = _record(spec, jid, first.pid)
        if switched is not None:
            record |= _connect(spec["network"], switched, jid, first.pid)
        limits = _limit(spec, jid, first.pid)
        with mutex.lock(run, "jails"):
            _check_name(spec)
            registry.write(run, name, record | limits)
        first.go()
        first.await_word()
    except BaseException:
        first.kill()
        cgroups.remove(limits.get("cgroup", ""))
        raise
    return jid


def _check_name(spec: dict[str, Any]) -> None:
    if registry.running(spec["run"], spec["name"]):
        raise JailFailed(f'jail: jail "{spec["name"]}" already exists')
    if not os.path.isdir(spec["path"]):  # it has been removed meanwhile
        raise JailFailed(f"jail: {spec['path']}: No such file or directory")


def _record(spec: dict[str, Any], jid: int, pid: int) -> dict[str, str]:
    return {
        "jid": str(jid),
        "pid": str(pid),
        "start": registry.start_time(pid),
        "path": spec["path"],
        "hostname": spec["hostname"],
        "persist": "1" if spec["persist"] else "0",
        "capabilities": " ".join(map(str, spec["capabilities"])),
    }


def _connect(network: dict[str, Any], switched: int, jid: int, pid: int) -> dict[str, str]:
    """Join the jail to its bridge and open its ports; what is to be remembered of that."""
    from pot_sim import forward, switch  # noqa: PLC0415 (most jails have the host's network)

    wiring = switch.Wiring(*(network[field] for field in switch.Wiring._fields))
    switch.connect(switched, wiring, jid, pid)
    remembered = {"switch": str(switched)}
    if network["ports"]:
        forwarder = forward.start([forward.Port(*port) for port in network["ports"]], switched, pid)
        remembered["forwarder"] = f"{forwarder} {registry.start_time(forwarder)}"
    return remembered


def _next_jid(run: str) -> int:
    path = run + "/jid"
    try:
        with open(path, encoding="ascii") as file:
            jid = int(file.read()) + 1
    except FileNotFoundError:
        jid = 1
    with open(path, "w", encoding="ascii") as file:
        file.write(str(jid))
    return jid


def _limit(spec: dict[str, Any], jid: int, pid: int) -> dict[str, str]:
    """Set process 1 its limits, which whatever joins the jail takes over."""
    remembered = {}
    if spec["memory"] and (cgroup := cgroups.create(spec["run"], jid, pid, spec["memory"])):
        remembered["cgroup"] = cgroup
    if spec["cpus"]:
        cpus = cgroups.cpu_set(spec["cpus"])
        os.sched_setaffinity(pid, cpus)
        remembered["cpus"] = " ".join(map(str, sorted(cpus)))
    return remembered


class _First:
    """Process 1 of the new jail, seen from its maker: it says a word, waits to be let go, says another, and serves."""

    def __init__(self, spec: dict[str, Any], switched: int | None) -> None:
        self._words, words = os.pipe()
        going, self._go = os.pipe()
        told, telling = os.pipe()
        middle = os.fork()
        if middle == 0:
            _be_born(telling)
            _be_first(spec, words, going, switched)
        os.waitpid(middle, 0)
        for fd in (words, going, telling):
            os.close(fd)
        self.pid = int(os.read(told, 16) or 0)
        os.close(told)
        if not self.pid:
            raise JailFailed("jail: this machine grants no new namespaces")

    def await_word(self) -> None:
        word = os.read(self._words, 4096).decode()
        if word != "ok":
            raise JailFailed(word or "jail: process 1 of the jail was killed")

    def go(self) -> None:
        os.write(self._go, b"g")

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def _be_born(telling: int) -> None:
    """Go on as the first process of a new pid namespace, a child of the one that forked this and is told its pid."""
    try:
        linux.unshare(linux.NEWPID)
        pid = linux.fork_sibling()
    except OSError:
        os._exit(1)
    if pid:
        os.write(telling, str(pid).encode())
        os._exit(0)


def _be_first(spec: dict[str, Any], words: int, going: int, switched: int | None) -> None:
    """Process 1: never returns."""
    linux.close_all_but(words, going, switched or words)
    try:
        own_network = linux.NEWNET if spec["network"] else 0
        linux.unshare(linux.NEWNS | linux.NEWUTS | linux.NEWIPC | own_network)
        linux.sethostname(spec["hostname"][:64])
        rootfs.enter(spec["path"], spec["mounts"], own_users=spec["own_users"])
        linux.set_process_name("jail:" + spec["name"])
        os.write(words, b"ok")
        if os.read(going, 1):  # nothing to read: the jailer was killed before the jail was recorded
            _hold(spec)
            os.write(words, b"ok")
            null = os.open("/dev/null", os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(null, fd)
            for fd in (null, words, going):
                os.close(fd)
            init.serve(persist=spec["persist"])
    except (JailFailed, rootfs.MountFailed) as error:
        os.write(words, str(error).encode())
    except OSError as error:
        os.write(words, f"jail: {error.filename or 'jail_set'}: {error.strerror}".encode())
    except BaseException as error:  # noqa: BLE001 - a fault in here must be heard, and must not run on in a fork
        os.write(words, f"jail: {error!r}".encode())
    finally:
        os._exit(0)


def _hold(spec: dict[str, Any]) -> None:
    """Start the sleep that keeps the jail alive until its command has been brought in."""
    if not spec["helper"]:
        return
    pid = os.fork()
    if pid == 0:
        try:
            linux.limit_capabilities(frozenset(spec["capabilities"]))
            null = os.open("/dev/null", os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(null, fd)
            os.execve(HELPER[0], HELPER, {"PATH": "/sbin:/bin:/usr/sbin:/usr/bin"})
        finally:
            os._exit(127)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        raise JailFailed(f"jail: /bin/sh -c sleep 1234&: exited {status}")


if __name__ == "__main__":
    main()
