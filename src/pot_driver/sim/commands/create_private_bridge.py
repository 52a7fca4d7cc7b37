"""`pot create-private-bridge`: a network of its own for a number of pots.

Not here: finding a free one (`network`).
"""

from __future__ import annotations

import os

from pot_driver.sim import conf, pots
from pot_driver.sim.session import Pot
from pot_driver.sim.shell import Exit, natural

_FEWEST = 2


def run(pot: Pot, args: list[str]) -> int:
    name = size = ""
    for option, value in pot.options(args, "hvB:S:"):
        match option:
            case "h":
                pot.help("create-private-bridge")
                raise Exit(0)
            case "v":
                pot.verbosity += 1
            case "B":
                name = value
            case "S":
                size = value
            case _:
                raise Exit(pot.usage_error("create-private-bridge"))
    problem = ""
    if not name:
        problem = "A bridge name is mandatory (-B option)"
    elif not size:
        problem = "The amount of host is mandatory (-S option)"
    elif name in pots.bridges(pot.root):
        problem = f"A bridge with name {name} already exists"
    if problem:
        pot.error(problem)
        raise Exit(1)
    pot.must_be_root()
    _create(pot, name, size)
    return 0


def _create(pot: Pot, name: str, size: str) -> None:
    from pot_driver.sim import network  # noqa: PLC0415 (only once all is in order)

    try:
        if not natural(size) or int(size) < _FEWEST:
            raise network.NetworkError("too small")
        net, gateway = network.allocate_net(pot.root, int(size))
    except network.NetworkError:
        pot.error(f"Not able to get a valid network with size {size}")
        raise Exit(1) from None
    os.makedirs(pot.root.bridges, exist_ok=True)
    conf.write(f"{pot.root.bridges}/{name}", [f"net={net}", f"gateway={gateway}", f"name={name}"])
