"""Jails as sets of Linux namespaces: what jail(8) and killall -j do.

A jail is its process 1 (see `init`), found again through its record (see `registry`) by whoever comes later; no
process that made or joined it need live on.

Not here: how one is put together (see `jailer`, `rootfs`), running commands in one (`jexec`), pot's states and files.
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
from typing import TYPE_CHECKING

from pot_sim import cgroups, dying, mutex, privilege, registry
from pot_sim.jexec import PATH, JailError, attach

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pot_sim.network import NetworkSpec
    from pot_sim.root import Root

__all__ = [
    "JailError",
    "JailSpec",
    "Mount",
    "attach",
    "create",
    "end_helper",
    "forget",
    "jid",
    "names",
    "pids",
    "remove",
    "remove_all",
    "settle",
    "signal_all",
]

_PACKAGES = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_NOTICE_STEP_S, _NOTICE_STEPS = 0.005, 400
_ENDING_S = 10.0  # after SIGKILL: long past what the kernel needs

# What root in a jail may do: CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE
# SYS_CHROOT AUDIT_WRITE SETFCAP. Neither mount, nor device nodes, nor other processes' memory, nor the clock.
_CAPABILITIES = frozenset({0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 29, 31})
_NET_ADMIN, _NET_RAW, _IPC_LOCK = 12, 13, 14


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
    for name in registry.recorded(root.run):  # of jails that ended when nobody was there to see it
        forget(root, name)
    cgroups.sweep(root.run)
    made = subprocess.run(
        _jailer(root, spec.name),
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


def _jailer(root: Root, name: str) -> list[str]:
    """Its last words are for people who look at the list of processes, and for `doctor`."""
    program = f"import sys; sys.path.insert(0, {_PACKAGES!r}); from pot_sim import jailer; jailer.main()"
    return [sys.executable, "-IS", "-c", program, root.path, name]


def _described(root: Root, spec: JailSpec) -> dict[str, object]:
    from pot_sim import network  # noqa: PLC0415 (most jails have the host's)

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
        "memory": spec.memory_bytes,
        "cpus": spec.cpus,
        "capabilities": sorted(capabilities),
        "own_users": privilege.is_own_namespace(),
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
    return registry.pids(record) if record else []


def signal_all(root: Root, name: str, signum: int) -> None:
    _signal(pids(root, name), signum)


def _signal(processes: Iterable[int], signum: int) -> None:
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signum)


def end_helper(root: Root, name: str) -> None:
    """End the sleep which held the new jail; the jail ends if nothing else runs in it."""
    helpers = []
    for pid in pids(root, name):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
            if file.read() == b"sleep\x001234\x00":
                helpers.append(pid)
                os.kill(pid, signal.SIGKILL)
    _await_all(helpers, _ENDING_S)  # or `settle` might take it for one of the pot's own


def settle(root: Root, name: str) -> None:
    """A jail without processes is no more, as soon as its process 1 has noticed."""
    for _ in range(_NOTICE_STEPS):
        record = registry.running(root.run, name)
        if record is None or registry.pids(record):
            return
        time.sleep(_NOTICE_STEP_S)


def remove(root: Root, name: str, *, stop_timeout: float, exec_stop: str = "") -> None:
    """As jail -r: `exec_stop` in the jail, SIGTERM to all, wait, SIGKILL to the rest; timeout 0: SIGKILL at once."""
    record = registry.running(root.run, name)
    if record is not None:
        if exec_stop:
            with contextlib.suppress(JailError):
                attach(root, name, ["/bin/sh", "-c", exec_stop], env={"PATH": PATH}).wait()
        if stop_timeout > 0:
            _signal(registry.pids(record), signal.SIGTERM)
            _await_end(record, stop_timeout)
        processes = registry.pids(record)
        if record.is_pid_its_own:
            _signal([record.pid], signal.SIGKILL)
        _await_all(processes, _ENDING_S)
        while record.alive:  # not its pidfd: it stays until all others are reaped, perhaps by our caller
            time.sleep(0.001)
    forget(root, name)


def forget(root: Root, name: str) -> None:
    """Drop what a jail that has ended left below the root."""
    if not _has_ended(root, name):
        return
    from pot_sim import network  # noqa: PLC0415 (only after a pot)

    with mutex.lock(root.run, "jails"):
        record = registry.read(root.run, name)
        if record is None or record.alive:  # somebody else has been here
            return
        network.down(root, name)
        cgroups.remove(record.fields.get("cgroup", ""))
        pcpu = f"{root.run}/pcpu/{record.jid}"
        if os.path.exists(pcpu):
            os.unlink(pcpu)
        registry.remove(root.run, name)
        dying.note(root, name, record)


def _has_ended(root: Root, name: str) -> bool:
    record = registry.read(root.run, name)
    return record is not None and not record.alive


def remove_all(root: Root) -> None:
    """End every jail of this root."""
    for name in registry.recorded(root.run):
        remove(root, name, stop_timeout=0)
    cgroups.sweep(root.run)
    privilege.drop(root)


def _await_end(record: registry.Record, seconds: float) -> None:
    """Until no process of the jail but its first is left, or the time is over."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and (processes := registry.pids(record)):
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
