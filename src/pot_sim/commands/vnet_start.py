"""`pot vnet-start`: the internal network's bridge and its pf rules.

Not here: how pots really reach each other (`switch`).
"""

from __future__ import annotations

from pot_sim import epair, pots
from pot_sim.session import Pot
from pot_sim.shell import Exit, complain


def run(pot: Pot, args: list[str]) -> int:
    given = dict(pot.options("vnet-start", args, "hvB:", lenient=True))
    bridge = given.get("B", "")
    if not pot.config["POT_NETWORK"] or not pot.config["POT_GATEWAY"]:
        pot.error("No network or gateway defined")
        raise Exit(1)
    if not pot.config["POT_EXTIF"]:
        pot.error("No external interface defined")
        raise Exit(1)
    pot.must_be_root()
    status = 0
    stack = pot.config["POT_NETWORK_STACK"]
    if stack in ("ipv4", "dual"):
        status = _start_ipv4(pot, bridge)
    if stack in ("ipv6", "dual"):
        _start_ipv6(pot)
        status = 0
    return status


def _start_ipv4(pot: Pot, bridge: str) -> int:
    if bridge and bridge not in pots.bridges(pot.root):
        pot.error(f"{bridge} is not a valid bridge")
        return 0
    which = epair.private(bridge) if bridge else epair.PUBLIC
    there = epair.bridge_interface(pot.root, which)
    if there:
        pot.debug(f"Bridge {there} already present")
    else:
        new = epair.start_bridge(pot.root, which)
        pot.debug(f"Bridge created {new}")
        pot.debug(f"Bridge {new} configured with IP {_address(pot, bridge)}")
    _check_outer_address(pot)
    if epair.enable_pf(pot.root):
        complain("pf enabled")
        return 0
    complain("pfctl: pf already enabled")
    return 1


def _check_outer_address(pot: Pot) -> None:
    address, interface = pot.config["POT_EXTIF_ADDR"], pot.config["POT_EXTIF"]
    if not address:
        return
    from pot_sim import addresses  # noqa: PLC0415 (few hosts name one)

    if addresses.family(address) != 4:
        pot.info(f"The value {address} [POT_EXTIF_ADDR] is not a valid IPv4 address - ignoring")
    elif not addresses.is_local(address):
        what = f"The IP address {address} [POT_EXTIF_ADDR]"
        pot.info(f"{what} is not available on the network interface {interface} [POT_EXTIF]    ")


def _start_ipv6(pot: Pot) -> None:
    there = epair.bridge_interface(pot.root, epair.IPV6)
    if there:
        pot.debug(f"Bridge {there} already present")
        return
    new = epair.start_bridge(pot.root, epair.IPV6)
    pot.debug(f"Bridge created {new}")
    pot.debug(f"Bridge {new} inet6 up")
    pot.debug(f"Bridge {new} addm {pot.config['POT_EXTIF']}")


def _address(pot: Pot, bridge: str) -> str:
    if not bridge:
        return f"{pot.config['POT_GATEWAY']} netmask {pot.config['POT_NETMASK']}"
    from pot_sim import network  # noqa: PLC0415 (only for private bridges)

    net, gateway = network.private_bridge(pot.root, bridge)
    return f"{gateway}/{net.rpartition('/')[2]}"
