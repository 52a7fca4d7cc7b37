"""`pot create-private-bridge`: a network of its own for a number of pots.

Not here: finding a free one (`network`).
"""

from __future__ import annotations

import contextlib
import os

from pot_sim import conf, pots
from pot_sim.session import Pot
from pot_sim.shell import Exit, natural

_FEWEST = 2


def run(pot: Pot, args: list[str]) -> int:
    given = dict(pot.options("create-private-bridge", args, "hvB:S:"))
    name = given.get("B", "")
    size = given.get("S", "")
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
    from pot_sim import network  # noqa: PLC0415 (only once all is in order)

    found = None
    if natural(size) and int(size) >= _FEWEST:
        with contextlib.suppress(network.NetworkError):
            found = network.allocate_net(pot.root, int(size))
    if found is None:
        pot.error(f"Not able to get a valid network with size {size}")
        raise Exit(1)
    net, gateway = found
    os.makedirs(pot.root.bridges, exist_ok=True)
    conf.write(f"{pot.root.bridges}/{name}", [f"net={net}", f"gateway={gateway}", f"name={name}"])
