"""IP addresses as pot checks them, and what a network type needs of them.

Not here: which address is free (`network`).
"""

from __future__ import annotations

import socket

from pot_sim import pots
from pot_sim.shell import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pot_sim.session import Pot

TYPES = ("inherit", "alias", "public-bridge", "private-bridge")
STACKS = ("ipv4", "ipv6", "dual")


class NotValid(Exception):  # noqa: N818 (pot's word)
    """The error lines that pot prints, and then its command's help."""

    def __init__(self, *lines: str) -> None:
        super().__init__(*lines)
        self.lines = lines


def family(address: str) -> int:
    """4, 6, or 0 if this is no address."""
    for number, kind in ((4, socket.AF_INET), (6, socket.AF_INET6)):
        try:
            socket.inet_pton(kind, address)
        except (OSError, ValueError):
            continue
        return number
    return 0


def is_local(address: str) -> bool:
    """Whether this machine has it (IPv4)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def checked(address: str) -> bool:
    """`potnet ipcheck -H`, with its own complaint."""
    if family(address):
        return True
    complain("error: Invalid value for '--host <host-addr>': invalid IP address syntax")
    return False


def resolve(pot: Pot, kind: str, wanted: str, bridge: str, stack: str) -> str:
    """The `ip` for a pot's configuration, from what was asked with -N, -i, -B and -S."""
    if kind == "inherit":
        return ""
    if kind == "alias":
        return _alias(pot, wanted, stack)
    if kind == "public-bridge":
        return _bridge(pot, wanted)
    if kind == "private-bridge":
        return _private(pot, wanted, bridge, stack)
    raise NotValid(f"Network type {kind} not recognized")


def _alias(pot: Pot, wanted: str, stack: str) -> str:
    if not wanted:
        raise NotValid("option -i is mandatory with network type is alias")
    if wanted == "auto":
        raise NotValid("-i auto not usable with network type alias - a real IP address has to be provided")
    problem = _alias_problem(pot, wanted.split(), stack)
    if problem:
        raise NotValid(problem, f"{wanted} is not a valid alias configuration")
    return wanted


def _alias_problem(pot: Pot, words: list[str], stack: str) -> str:
    interfaces = {name for _, name in socket.if_nameindex()} | {pot.config["POT_EXTIF"], "lo0"}
    families = set()
    for word in words:
        nic, bar, address = word.partition("|")
        if bar and nic not in interfaces:
            return f"{nic} is not a valid network interface"
        found = family(address.split("|")[0] if bar else word)
        if not found:
            return f"{address if bar else word} is not a valid IP address"
        families.add(found)
    for each in (4, 6):
        if stack == f"ipv{each}" and each not in families:
            return f"Stack is ipv{each} but not ipv{each} address has been provided"
    return ""


def _bridge(pot: Pot, wanted: str) -> str:
    from pot_sim import network  # noqa: PLC0415 (only for bridges)

    if wanted in ("", "auto"):
        return _next(pot)
    if not network.validate_ip(pot.root, wanted):
        raise NotValid(f"The {wanted} IP is not valid - run potnet validate -H {wanted} for more information")
    return wanted


def _private(pot: Pot, wanted: str, bridge: str, stack: str) -> str:
    from pot_sim import network  # noqa: PLC0415 (only for bridges)

    if stack == "ipv6":
        raise NotValid("private-bridge network type is not supported on ipv6 stack only")
    if not bridge:
        raise NotValid("private-bridge network type requires -B option, to specify which private bridge to use")
    if bridge not in pots.bridges(pot.root):
        raise NotValid(" ".join(("", f"bridge {bridge} not found")), _unknown(bridge))
    if wanted in ("", "auto"):
        return _next(pot, bridge)
    if not network.validate_ip(pot.root, wanted, bridge):
        raise NotValid(
            f"The {wanted} IP is not valid for bridge {bridge} - "
            f"run potnet validate -H {wanted} -b {bridge} for more information"
        )
    return wanted


def _next(pot: Pot, bridge: str | None = None) -> str:
    """What `potnet next` prints; nothing, where it finds none."""
    from pot_sim import network  # noqa: PLC0415 (only for bridges)

    try:
        return network.allocate_ip(pot.root, bridge)
    except network.NetworkError as error:
        complain(f"potnet: {error}")
        return ""


def _unknown(bridge: str) -> str:
    return f"bridge {bridge} is not valid. Have you already created it?"
