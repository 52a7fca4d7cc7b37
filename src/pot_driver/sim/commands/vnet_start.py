"""`pot vnet-start`: the internal network's bridge and its pf rules.

Not here: how pots really reach each other (`switch`).
"""

from __future__ import annotations

from pot_driver.sim import epair, pots
from pot_driver.sim.session import Pot
from pot_driver.sim.shell import Exit, complain


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
    if bridge and bridge not in pots.bridges(pot.root):
        pot.error(f"{bridge} is not a valid bridge")
        return 0
    if epair.bridge_up(pot.root, bridge):
        pot.debug("Bridge bridge0 already present")
    else:
        pot.debug("Bridge created bridge0")
        pot.debug(f"Bridge bridge0 configured with IP {_address(pot, bridge)}")
    if epair.start_bridge(pot.root, bridge):
        complain("pf enabled")
        return 0
    complain("pfctl: pf already enabled")
    return 1


def _address(pot: Pot, bridge: str) -> str:
    if not bridge:
        return f"{pot.config['POT_GATEWAY']} netmask {pot.config['POT_NETMASK']}"
    from pot_driver.sim import network  # noqa: PLC0415 (only for private bridges)

    net, gateway = network.private_bridge(pot.root, bridge)
    return f"{gateway}/{net.rpartition('/')[2]}"
