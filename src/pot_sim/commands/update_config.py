"""`pot update-config`: adds to a pot's configuration what newer versions of pot expect.

Not here: the attributes (`attributes`).
"""

from __future__ import annotations

from pot_sim import attributes, conf, pots
from pot_sim.session import Pot
from pot_sim.shell import Exit

_DEFAULTS = {
    "pot.dns": "inherit",
    "pot.cmd": "sh /etc/rc",
    "pot.attr.no-rc-script": "NO",
    "pot.attr.persistent": "YES",
    "pot.attr.start-at-boot": "NO",
    "pot.attr.early.start-at-boot": "NO",
    **{f"pot.attr.{name}": default for name, (_, default, _) in attributes.OF_JAIL.items()},
    **{f"pot.attr.{name}": "NO" for name in ("prunable", "localhost-tunnel", "no-tmpfs", "no-etc-hosts")},
}


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
    file = conf.path(pot.root, name)
    for key, value in _DEFAULTS.items():
        if not conf.get(pot.root, name, key):
            pot.debug(f"{key}={value}")
            conf.append(file, [f"{key}={value}"])
    _convert_ports(pot, name, file)
    _convert_network(pot, name, file)
    cpuset = conf.get(pot.root, name, "pot.rss.cpuset")
    if cpuset:
        pot.info(f"Removing cpuset rss allocation: {cpuset}")
        pot.info("rss.cpuset has been deprecated; please use the more generic rss.cpus")
        _delete(file, "pot.rss.cpuset=")
    conf.update_fscomp(pot.root, name)


def _convert_ports(pot: Pot, name: str, file: str) -> None:
    static = conf.get_string(pot.root, name, "pot.export.static.ports").split()
    if not static:
        return
    pot.debug("converting exported static ports using the new format")
    _delete(file, "pot.export.static.ports=")
    ports = [*conf.export_ports(pot.root, name), *(f"{port}:{port}" for port in static)]
    _delete(file, "pot.export.ports=")
    conf.append(file, [f"pot.export.ports={' '.join(ports)}"])


def _convert_network(pot: Pot, name: str, file: str) -> None:
    ip4 = conf.get(pot.root, name, "ip4")
    if not ip4:
        return
    pot.debug("converting the network configuration using the new format")
    _delete(file, "ip4=")
    bridged = conf.get(pot.root, name, "vnet") != "false"
    kind = "inherit" if ip4 == "inherit" else "public-bridge" if bridged else "alias"
    conf.append(file, [f"network_type={kind}", *([] if kind == "inherit" else [f"ip={ip4}"])])


def _delete(file: str, text: str) -> None:
    """As sed finds it: anywhere in a line."""
    conf.edit(file, lambda line: None if text in line else line)
