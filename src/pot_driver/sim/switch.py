"""The network namespace with the bridges of one root: what a FreeBSD host's bridge0 is to its pots.

No process owns it. Every bridged jail's process 1 holds a descriptor of it, so it lives exactly as long as one of
them, and it is found through whichever still lives.

Not here: ports of the host (see `forward`), which addresses are free (see `network`).
"""

from __future__ import annotations

import hashlib
import os
from typing import NamedTuple

from pot_driver.sim import linux, netlink, registry


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
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    linux.unshare(linux.NEWNET)
    made = os.open("/proc/self/ns/net", os.O_RDONLY)
    netlink.up("lo")
    linux.setns(own, linux.NEWNET)
    os.close(own)
    return made


def connect(switch: int, wiring: Wiring, jid: int, pid: int) -> None:
    """Join the jail whose process 1 is `pid`, and which has a network namespace of its own, to its bridge."""
    there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    bridge = _device(wiring.bridge)
    with netlink.inside(switch):
        netlink.create_bridge(bridge)
        for address, prefix in wiring.gateways:
            netlink.add_address(bridge, address, prefix)
        for number, (interface, _, _) in enumerate(wiring.ends):
            netlink.create_pair(f"jail{jid}.{number}", bridge, interface, there)
    with netlink.inside(there):
        netlink.up("lo")
        for interface, address, prefix in wiring.ends:
            netlink.up(interface)
            netlink.add_address(interface, address, prefix)
    os.close(there)


def _device(bridge: str) -> str:
    """Names of interfaces are short; pot's of bridges need not be."""
    return "b" + hashlib.blake2b(bridge.encode(), digest_size=6).hexdigest() if bridge else "bridge0"
