"""`pot update-config`: adds to a pot's configuration what newer versions of pot expect.

Not here: the attributes (`attributes`).
"""

from __future__ import annotations

from pot_driver.sim import attributes, conf, pots
from pot_driver.sim.session import Pot
from pot_driver.sim.shell import Exit


def run(pot: Pot, args: list[str]) -> int:
    given = dict(pot.options("update-config", args, "hvp:a"))
    name = given.get("p", "")
    pot.must_be_root()
    if not name and "a" not in given:
        raise Exit(pot.usage_error("update-config", "A pot name or -a are mandatory"))
    for each in [name] if name else pots.names(pot.root):
        if not pots.check(pot, each):
            pot.error("Invalid pot name")
            raise Exit(1)
        _update(pot, each)
        if not name:
            pot.debug(f"Updated {each} configuration")
    return 0


def _update(pot: Pot, name: str) -> None:
    wanted = {"pot.dns": "inherit", "pot.cmd": "sh /etc/rc"}
    wanted |= dict(line.split("=", 1) for line in attributes.of_new_pot())
    wanted |= {"pot.attr.early.start-at-boot": "NO", "pot.attr.localhost-tunnel": "NO", "pot.attr.no-etc-hosts": "NO"}
    for key, value in wanted.items():
        if not conf.get(pot.root, name, key):
            pot.debug(f"{key}={value}")
            conf.append(conf.path(pot.root, name), [f"{key}={value}"])
    conf.update_fscomp(pot.root, name)
