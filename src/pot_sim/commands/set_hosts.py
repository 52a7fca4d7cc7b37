"""`pot set-hosts`: replaces all lines that a pot's /etc/hosts gets; with no -H there are none left.

Its temporary file has a fixed name, so two calls at the same time, or one after a killed one, fail.

Not here: writing /etc/hosts (`etcfiles`).
"""

from __future__ import annotations

import os

from pot_sim import addresses, conf, pots
from pot_sim.session import Pot
from pot_sim.shell import Exit, complain


def run(pot: Pot, args: list[str]) -> int:
    os.makedirs(pot.root.tmp, exist_ok=True)
    temporary = pot.root.tmp + "/pot-set-hosts"
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError as error:
        complain(f"mktemp: mkstemp failed on {temporary}: {error.strerror}")
        raise Exit(1) from None
    try:
        return _run(pot, args)
    finally:
        os.unlink(temporary)


def _run(pot: Pot, args: list[str]) -> int:
    name, hosts = "", []
    for option, value in pot.options("set-hosts", args, "hvp:H:"):
        match option:
            case "H":
                host, colon, address = value.partition(":")
                if not colon:
                    pot.error(f"{value} not in a valid form")
                    return pot.usage_error("set-hosts", "hostname:IP is accepted")
                if not address or not host:
                    return pot.usage_error("set-hosts", "Submitted ip or hostname are empty")
                if not addresses.checked(address):
                    return pot.usage_error("set-hosts", f"Submitted ip {address} is not a valid one")
                hosts.append(f"{address} {host}")
            case "p":
                name = value
    if not name:
        return pot.usage_error("set-hosts", "A pot name is mandatory")
    if not pots.check(pot, name):
        return pot.usage_error("set-hosts", f"pot {name} is not valid")
    if not pot.is_root():
        return 1
    conf.replace(pot.root, name, "pot.hosts", hosts)
    return 0
