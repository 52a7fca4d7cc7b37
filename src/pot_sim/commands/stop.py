"""`pot stop`: ends the jail if it lives, then cleans up in any case.

Not here: which states allow it (`status`), how a jail is ended (`jail`).
"""

from __future__ import annotations

import os
import time

from pot_sim import conf, epair, etcfiles, hooks, mounts, pots, status
from pot_sim.session import Pot
from pot_sim.shell import Exit, complain, natural, unquoted

_NOTICE_STEP_S = 0.02
_NOTICE_STEPS = 15


def run(pot: Pot, args: list[str]) -> int:
    given = dict(pot.options("stop", args, "hvp:i:s"))
    name = given.get("p", "")
    interfaces = given.get("i", "")
    from_start = "s" in given
    name = name or unquoted(pot.operands[0] if pot.operands else "")
    if not name:
        raise Exit(pot.usage_error("stop", "A pot name is mandatory"))
    if not pots.exists(pot.root, name):
        pot.error(f"The pot {name} is not a valid pot")
        raise Exit(0)
    pot.must_be_root()
    interfaces = _begin(pot, name, from_start=from_start) or interfaces
    _end_jail_and_network(pot, name, interfaces)
    _finish(pot, name)
    return 0


def _begin(pot: Pot, name: str, *, from_start: bool) -> str:
    """To `stopping`; the interfaces that start left in the status file."""
    result, interfaces = status.change(pot, name, "stopping")
    if result == status.ALREADY:
        if not from_start:
            pot.error(f"pot {name} is already stopping!")
            raise Exit(1)
        pot.debug(f"pot {name} is already stopping, but we are cleaning up from start-cleanup")
    if result == status.REFUSED:
        pot.error(f"pot {name} is not in a state where it can be stopped")
        raise Exit(1)
    return interfaces


def _end_jail_and_network(pot: Pot, name: str, interfaces: str) -> None:
    if pots.is_running(pot.root, name):
        hooks.run(pot, name, "prestop", "pre-stop")
        pot.debug(f"Stop the pot {name}")
        _end_jail(pot, name)
        _let_start_notice(pot, name)
    for interface in interfaces.replace(":", " ").split():
        pot.debug(f"Remove {interface} epair network interfaces")
        time.sleep(1)  # pot gives the epair driver that time
        if not epair.destroy(pot.root, interface):
            complain(f"ifconfig: interface {interface} does not exist")
    if not interfaces and conf.network_type(pot.root, name) == "alias":
        pot.debug(f"Remove {conf.ip(pot.root, name)} aliases")
    if conf.network_type(pot.root, name) != "inherit":
        from pot_sim import network  # noqa: PLC0415

        network.down(pot.root, name)
    epair.drop_anchor(pot.root, pots.anchor(name))
    hooks.run(pot, name, "poststop", "post-stop")
    etcfiles.remove_resolv(pot, name)
    mounts.unmounted(pot, name)


def _end_jail(pot: Pot, name: str) -> None:
    from pot_sim import jail  # noqa: PLC0415

    timeout = conf.get(pot.root, name, "pot.attr.stop_timeout") or "10"
    if not natural(timeout):  # jail(8) reads that as its configuration, and ends nothing
        complain(f'jail: {name}: stop.timeout: non-integer value "{timeout}"')
        return
    jail.remove(
        pot.root,
        name,
        stop_timeout=float(timeout),
        exec_stop=conf.get_string(pot.root, name, "pot.attr.exec_stop"),
    )


def _let_start_notice(pot: Pot, name: str) -> None:
    """The real pot needs far longer for its clean-up than a waiting `pot start` to see that its command has ended.

    So that start, as a rule, finds the state `stopping`, and leaves with 0; and finds it here, too.
    """
    for _ in range(_NOTICE_STEPS):
        if not os.path.exists(main_pid_file(pot, name)):
            break
        time.sleep(_NOTICE_STEP_S)
    time.sleep(_NOTICE_STEP_S)


def _finish(pot: Pot, name: str) -> None:
    result, _ = status.change(pot, name, "stopped")
    if result == status.ALREADY:
        pot.error(f"pot {name} is already stopped!")
        raise Exit(1)
    if result == status.REFUSED:
        pot.error(f"pot {name} is not in a state where it can marked as stopped")
        raise Exit(1)


def main_pid_file(pot: Pot, name: str) -> str:
    return os.path.join(pot.root.tmp, f"pot_main_pid_{name}")
