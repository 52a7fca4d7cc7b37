"""`pot start`: the checks, the state, the mounts; then `launch`.

Not here: the jail and its command (`launch`).
"""

from __future__ import annotations

import os
import signal
import time

from pot_sim import conf, etcfiles, faults, launch, mounts, pots, status, zfs
from pot_sim.session import Pot
from pot_sim.shell import unquoted


def run(pot: Pot, args: list[str]) -> int:
    given = dict(pot.options("start", args, "hvsSp:"))
    snapshot = bool(given.keys() & {"s", "S"})
    name = given.get("p", "")
    name = name or unquoted(pot.operands[0] if pot.operands else "")
    if not name:
        return pot.usage_error("start", "A pot name is mandatory")
    as_shell()
    return start(pot, name, snapshot=snapshot)


def as_shell() -> None:
    """Python's ideas about SIGINT and SIGPIPE are not the shell's."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def start(pot: Pot, name: str, *, snapshot: bool = False) -> int:
    if not pots.check(pot, name):
        return 1
    if pots.is_running(pot.root, name):
        pot.debug(f"pot {name} is already running")
        return 0
    if not _may_start(pot, name):
        return 1
    for other in conf.get(pot.root, name, "pot.depend").split():
        start(pot, other)
    if snapshot:
        zfs.snapshot(pot.root, f"jails/{name}", str(int(time.time())))
    if not mounts.check(pot, name):
        pot.error("Mount failed ")
        launch.cleanup(pot, name)
        return 1
    if not etcfiles.write_resolv(pot, name):
        launch.cleanup(pot, name)
        return 1
    etcfiles.write_hosts(pot, name)
    result = launch.launch(pot, name)
    if result == launch.APP_FAILED:
        pot.error(f"{name} reported application error")
    elif result:
        pot.error(f"{name} failed to start")
        return 1
    return result


def _may_start(pot: Pot, name: str) -> bool:
    stack = conf.get(pot.root, name, "pot.stack") or pot.config["POT_NETWORK_STACK"]
    kind = conf.network_type(pot.root, name)
    if conf.get(pot.root, name, "pot.export.static.ports") or conf.get(pot.root, name, "ip4"):
        pot.error(f"Configuration file for {name} contains obsolete elements")
        pot.error(f"Please run pot update-config -p {name} to fix")
        return False
    if conf.get(pot.root, name, "pot.rss.cpuset"):
        pot.info("Found old cpuset rss limitation - it will be ignored")
        pot.info(f"Please run pot update-config -p {name} to clean up the configuration")
    if kind == "private-bridge" and stack == "ipv6":
        pot.error("The framework is configured to run ipv6 only and private-bridge are supported only on ipv4 - abort")
        return False
    if kind == "private-bridge" and stack == "dual":
        pot.info(
            "The framework is configured to run dual stack, "
            "but private-bridge are supported only on ipv4 - ipv6 ignored"
        )
    if conf.get(pot.root, name, "vnet") == "true" and faults.on(pot.root, "vnet"):
        pot.error("This kernel doesn't support VIMAGE! No vnet possible - abort")
        return False
    if not pot.is_root():
        return False
    os.makedirs(pot.root.tmp, exist_ok=True)
    result, _ = status.change(pot, name, "starting")
    if result == status.ALREADY:
        pot.error(f"pot {name} is already starting")
    elif result == status.REFUSED:
        pot.error(f"pot {name} is not in a state where it can start")
    return result == status.CHANGED
