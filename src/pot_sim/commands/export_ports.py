"""`pot export-ports`: replaces the list of exported ports.

Not here: the grammar (`ports`), the redirection at start (`uplink`).
"""

from __future__ import annotations

from pot_sim import conf, ports, pots
from pot_sim.session import Pot


def run(pot: Pot, args: list[str]) -> int:
    name, wanted = "", []
    for option, value in pot.options("export-ports", args, "hvp:e:"):
        match option:
            case "p":
                name = value
            case "e":
                if not ports.valid(value):
                    return pot.usage_error("export-ports", f"{value} is not a valid port number")
                wanted.append(value)
    if not name:
        return pot.usage_error("export-ports", "A pot name is mandatory")
    if not pots.check(pot, name):
        return pot.usage_error("export-ports", f"{name} is not a valid pot name")
    if not wanted:
        return pot.usage_error("export-ports", "One port has to be specified")
    if not conf.network_type(pot.root, name).endswith("-bridge"):
        pot.info(
            "Only public-bridge and private-bridge network type can export ports"
            " - this setting will be ignored during start"
        )
    if (conf.get(pot.root, name, "pot.stack") or pot.config["POT_NETWORK_STACK"]) == "ipv6":
        pot.info(
            "Only ipv4 can export ports, on ipv6 the pot has already a unique address"
            " - this setting will be ignored during start"
        )
    pot.debug(f"Exporting the following ports: {' '.join(wanted)}")
    if not pot.is_root():
        return 1
    file = conf.path(pot.root, name)
    conf.edit(file, lambda line: None if "pot.export.ports=" in line else line)
    conf.append(file, [f"pot.export.ports={' '.join(wanted)}"])
    return 0
