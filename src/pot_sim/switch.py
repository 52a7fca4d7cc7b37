"""The network namespace with the bridges of one root: what a FreeBSD host's bridge0 is to its pots.

No process owns it. Every bridged jail's process 1 holds a descriptor of it, so it lives exactly as long as one of
them, and it is found through whichever still lives.

Not here: ports of the host (see `forward`), which addresses are free (see `network`).
"""

from __future__ import annotations

import hashlib
import os
from typing import NamedTuple

from pot_sim import linux, netlink, registry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Wiring(NamedTuple):
    """How a pot is joined to the network."""

    bridge: str  # pot's name of it; empty: the public one
    gateways: tuple[tuple[str, int], ...]  # the bridge's own addresses and their prefixes
    ends: tuple[tuple[str, str, int], ...]  # the pot's interfaces with their addresses and prefixes


def open_namespace(run: str) -> int:
    """A descriptor of the root's switch, which is made if no jail holds one. Call it under the network's lock."""
    for name in registry.recorded(run):
        record = registry.running(run, name)
        if record is not None and "switch" in record.fields:
            found = _open(record)
            if found is not None:
                return found
    return _make()


def _open(record: registry.Record) -> int | None:
    try:
        fd = os.open(f"/proc/{record.pid}/fd/{record.fields['switch']}", os.O_RDONLY)
    except OSError:  # it ended just now
        return None
    if os.readlink(f"/proc/self/fd/{fd}").startswith("net:["):
        return fd
    os.close(fd)
    return None


def _make() -> int:
    """The namespace of a child which then ends: a process in a user namespace cannot come back from one itself."""
    made, making = os.pipe()
    opened, opening = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(opening)
            linux.unshare(linux.NEWNET)
            netlink.up("lo")
            os.write(making, b"m")
            os.read(opened, 1)
        finally:
            os._exit(0)
    os.close(making)
    os.close(opened)
    try:
        if not os.read(made, 1):
            raise OSError(1, "Operation not permitted", "network namespace")
        return os.open(f"/proc/{child}/ns/net", os.O_RDONLY)
    finally:
        os.close(made)
        os.close(opening)
        os.waitpid(child, 0)


def connect(switch: int, wiring: Wiring, jid: int, pid: int) -> None:
    """Join the jail whose process 1 is `pid`, and which has a network namespace of its own, to its bridge."""
    there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    _inside(switch, lambda: _plug_in(wiring, jid, there))
    _inside(there, lambda: _configure(wiring))
    os.close(there)


def _plug_in(wiring: Wiring, jid: int, there: int) -> None:
    bridge = _device(wiring.bridge)
    netlink.create_bridge(bridge)
    for address, prefix in wiring.gateways:
        netlink.add_address(bridge, address, prefix)
    for number, (interface, _, _) in enumerate(wiring.ends):
        netlink.create_pair(f"jail{jid}.{number}", bridge, interface, there)


def _configure(wiring: Wiring) -> None:
    netlink.up("lo")
    for interface, address, prefix in wiring.ends:
        netlink.up(interface)
        netlink.add_address(interface, address, prefix)


def _inside(namespace: int, act: Callable[[], None]) -> None:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            linux.setns(namespace, linux.NEWNET)
            act()
            status = 0
        except OSError as error:
            status = error.errno or 1
        finally:
            os._exit(status)
    number = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if number:
        raise OSError(number, os.strerror(number), "network")


def _device(bridge: str) -> str:
    """Names of interfaces are short; pot's of bridges need not be."""
    return "b" + hashlib.blake2b(bridge.encode(), digest_size=6).hexdigest() if bridge else "bridge0"
