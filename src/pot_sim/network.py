"""The addresses of a root's internal network, and what a pot's network type means for its jail.

public-bridge and private-bridge: a network namespace of the pot's own, joined to a bridge in the root's switch.
inherit, and alias with an address that the host has: the host's own stack.

Not here: namespaces and interfaces (see `switch`), forwarding (see `forward`), pot's checks and words (`addresses`).
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from pot_sim import registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pot_sim.root import Root

NETWORK = IPv4Network("10.192.0.0/10")
GATEWAY = IPv4Address("10.192.0.1")
DNS = IPv4Address("10.192.0.2")
_IPV6 = "fd70:6f74:"  # the internal network's; the rest of an address is the pot's IPv4 one
_IPV6_PREFIX = 64
_CLOSING_S = 2.0  # after SIGKILL
_ALIAS_BRIDGE = "|alias"  # of pots whose alias address the host does not have; no name that pot could give
_ALIAS_PREFIX = {4: 24, 6: 64}


class NetworkError(Exception):
    """There is no such bridge, or no address left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """A pot's network, in the words of its pot.conf."""

    kind: str  # public-bridge, private-bridge or alias
    ip: str  # alias: perhaps several words, each perhaps with its `nic|`
    bridge: str = ""
    ports: tuple[tuple[str, int, int], ...] = ()  # (proto, the pot's, the host's)
    stack: str = "ipv4"
    interfaces: tuple[str, ...] = ("epair0b",)  # the pot's ends; of a dual stack the one for IPv4, then that for IPv6


@dataclass(frozen=True, slots=True)
class Bridge:
    """A private bridge, as its file in FS/bridges says."""

    name: str
    net: IPv4Network
    gateway: IPv4Address


def bridge(root: Root, name: str) -> Bridge:
    """The private bridge of this name."""
    try:
        with open(f"{root.bridges}/{name}", encoding="utf-8") as file:
            fields = dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)
        return Bridge(name, IPv4Network(fields["net"]), IPv4Address(fields["gateway"]))
    except (OSError, KeyError, ValueError) as error:
        raise NetworkError(f"bridge {name} not found") from error


def private_bridge(root: Root, name: str) -> tuple[str, str]:
    """The network of a private bridge, with its prefix, and its gateway."""
    found = bridge(root, name)
    return str(found.net), str(found.gateway)


def _bridges(root: Root) -> Iterator[Bridge]:
    with contextlib.suppress(FileNotFoundError):
        for name in sorted(os.listdir(root.bridges)):
            with contextlib.suppress(NetworkError):
                yield bridge(root, name)


def allocate_net(root: Root, hosts: int) -> tuple[str, str]:
    """Potnet new-net: the first free network for so many pots and a gateway, and that gateway."""
    prefix = 32 - (hosts + 3 - 1).bit_length()  # network, broadcast and gateway count too
    taken = [each.net for each in _bridges(root)]
    used = _used(root)
    for net in NETWORK.subnets(new_prefix=prefix):
        if not any(net.overlaps(other) for other in taken) and not any(address in net for address in used):
            return str(net), str(net.network_address + 1)
    raise NetworkError("no network left")


def allocate_ip(root: Root, bridge_name: str | None = None) -> str:
    """Potnet next: the first address that no pot has, on a private bridge or on the public one."""
    used = _used(root)
    private = [each.net for each in _bridges(root)]
    net = bridge(root, bridge_name).net if bridge_name else NETWORK
    for address in net.hosts():
        if address not in used and (bridge_name or not any(address in other for other in private)):
            return str(address)
    raise NetworkError("no address left")


def validate_ip(root: Root, text: str, bridge_name: str | None = None) -> bool:
    """Potnet validate: may a pot have this address."""
    try:
        address = IPv4Address(text)
        net = bridge(root, bridge_name).net if bridge_name else NETWORK
    except (ValueError, NetworkError):
        return False
    if address not in net or address in (net.network_address, net.broadcast_address) or address in _used(root):
        return False
    return bool(bridge_name) or not any(address in other.net for other in _bridges(root))


def _used(root: Root) -> set[IPv4Address]:
    """The gateways', and whatever stands in the configuration of a pot."""
    found = {GATEWAY, DNS, *(each.gateway for each in _bridges(root))}
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(root.jails):
            with contextlib.suppress(OSError), open(root.conf(name) + "/pot.conf", encoding="utf-8") as file:
                for line in file:
                    if line.startswith("ip="):
                        with contextlib.suppress(ValueError):
                            found.add(IPv4Address(line[3:].strip()))
    return found


def described(root: Root, spec: NetworkSpec) -> dict[str, object] | None:
    """What the jailer is told: None for the host's own stack."""
    if spec.kind == "alias":
        return _described_alias(spec)
    if spec.kind == "private-bridge":
        private = bridge(root, spec.bridge)
        gateway, prefix, name = str(private.gateway), private.net.prefixlen, private.name
    else:
        gateway, prefix, name = str(GATEWAY), NETWORK.prefixlen, ""
    return {
        "bridge": name,
        "gateways": ((gateway, prefix), (_ipv6(gateway), _IPV6_PREFIX)),
        "ends": _ends(spec, prefix),
        "ports": _ports(spec),
    }


def _described_alias(spec: NetworkSpec) -> dict[str, object] | None:
    addresses = [word.rpartition("|")[2] for word in spec.ip.split()]
    if all(_host_has(address) for address in addresses):
        return None
    return {
        "bridge": _ALIAS_BRIDGE,
        "gateways": (),
        "ends": tuple(
            (f"alias{number}", address, _ALIAS_PREFIX[6 if ":" in address else 4])
            for number, address in enumerate(addresses)
        ),
        "ports": (),
    }


def _host_has(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _ipv6(address: str) -> str:
    return f"{_IPV6}:{address}"


def _ends(spec: NetworkSpec, prefix: int) -> tuple[tuple[str, str, int], ...]:
    """The pot's interfaces, each with its address."""
    both = {"ipv4": (spec.ip, prefix), "ipv6": (_ipv6(spec.ip), _IPV6_PREFIX)}
    addresses = (address for stack, address in both.items() if spec.stack in (stack, "dual"))
    return tuple((interface, *address) for interface, address in zip(spec.interfaces, addresses, strict=True))


def _ports(spec: NetworkSpec) -> tuple[tuple[str, str, int, int, str], ...]:
    """Each port on the host's IPv4 addresses, and on the IPv6 ones if the pot has one: see `forward.Port`."""
    targets = {"0.0.0.0": spec.ip if spec.stack != "ipv6" else _ipv6(spec.ip)}
    if spec.stack != "ipv4":
        targets["::"] = _ipv6(spec.ip)
    return tuple(
        (proto, target, pot_port, host_port, any_address)
        for proto, pot_port, host_port in spec.ports
        for any_address, target in targets.items()
    )


def down(root: Root, name: str) -> None:
    """Close the ports of a pot. Its interfaces go with its jail."""
    record = registry.read(root.run, name)
    if record is not None and "forwarder" in record.fields:
        pid, start = record.fields["forwarder"].split()
        if registry.is_alive(int(pid), start):
            with contextlib.suppress(ProcessLookupError):
                handle = os.pidfd_open(int(pid))
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                select.select([handle], [], [], _CLOSING_S)
                os.close(handle)
