"""What a start does for a pot's network before its jail exists: epairs, the internal network, exported ports.

Not here: how packets really get there (`network`), which address a pot has (`addresses`).
"""

from __future__ import annotations

import os
from typing import NamedTuple

from pot_sim import conf, epair, facts, faults, pots, tinirc
from pot_sim.shell import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pot_sim import network
    from pot_sim.session import Pot

_FREE_PORTS = range(1024, 10000)  # net.inet.ip.portrange.reservedhigh + 1 to .first - 1
_NCAT = "/usr/local/bin/ncat"  # below the root: absent, as on a host without the nmap package, unless put there


class Uplinks(NamedTuple):
    """The host's ends of the pot's epairs, and what the jail is to be given."""

    ours: tuple[str, ...] = ()
    for_status: str = ""
    network: network.NetworkSpec | None = None


class _Port(NamedTuple):
    proto: str
    pot: int
    host: int


def prepare(pot: Pot, name: str, stack: str, params: list[str]) -> Uplinks | None:
    """None: the start has failed, and said so."""
    kind = conf.network_type(pot.root, name)
    if kind == "public-bridge":
        return _public(pot, name, stack, params)
    if kind == "private-bridge":
        return _private(pot, name, params)
    if kind == "alias":
        return _alias(pot, name, stack, params)
    if kind == "inherit":
        families = {"dual": ("ip4", "ip6"), "ipv4": ("ip4",), "ipv6": ("ip6",)}.get(stack, ())
        params += [f"{family}=inherit" for family in families]
    return Uplinks()


def _public(pot: Pot, name: str, stack: str, params: list[str]) -> Uplinks | None:
    params.append("vnet")
    ours: dict[str, str] = {}
    theirs: dict[str, str] = {}
    ports: list[_Port] = []
    for family in ("4", "6"):
        if stack not in ("dual", f"ipv{family}"):
            continue
        pair = _epair(pot, name, family)
        if pair is None:
            return None
        ours[family], theirs[family] = pair
        if not epair.bridge_interface(pot.root, epair.PUBLIC if family == "4" else epair.IPV6):
            pot.info("Internal network not found! Calling vnet-start to fix the issue")
            pot.command("vnet-start")
        if family == "4":
            setup = (
                f"ifconfig {pair[1]} inet {conf.ip(pot.root, name)} netmask {pot.config['POT_NETMASK']}",
                f"route add default {pot.config['POT_GATEWAY']}",
            )
            ports = _export(pot, name)
        else:
            setup = (f"ifconfig {pair[1]} inet6 up accept_rtadv -ifdisabled", f"/sbin/rtsol -d {pair[1]}")
        _configure(pot, name, pair[1], setup)
        params.append(f"vnet.interface={pair[1]}")
    return _joined(pot, name, stack, ours, theirs, ports)


def _private(pot: Pot, name: str, params: list[str]) -> Uplinks | None:
    pair = _epair(pot, name, "4")
    if pair is None:
        return None
    bridge = conf.get(pot.root, name, "bridge")
    if not epair.bridge_interface(pot.root, epair.private(bridge)):
        pot.debug("No pot bridge found! Calling vnet-start to fix the issue")
        pot.command("vnet-start", "-B", bridge)
    from pot_sim import network  # noqa: PLC0415

    net, gateway = network.private_bridge(pot.root, bridge)
    size = net.rpartition("/")[2]
    setup = (f"ifconfig {pair[1]} inet {conf.ip(pot.root, name)}/{size}", f"route add default {gateway}")
    _configure(pot, name, pair[1], setup)
    params += ["vnet", f"vnet.interface={pair[1]}"]
    return _joined(pot, name, "ipv4", {"4": pair[0]}, {"4": pair[1]}, _export(pot, name))


def _alias(pot: Pot, name: str, stack: str, params: list[str]) -> Uplinks | None:
    for family in (4, 6):
        found = facts.alias(pot, name, family)
        if found:
            params.append(f"ip{family}.addr={found}")
        elif stack == f"ipv{family}":
            pot.error(f"No ipv{family} address found for {name}")
            return None
    return Uplinks(network=_spec(pot, name, stack, {}, []))


def _epair(pot: Pot, name: str, family: str) -> tuple[str, str] | None:
    pair = epair.create(pot.root, name, family)
    if pair is None:
        complain("ifconfig: SIOCIFCREATE2: Cannot allocate memory")
        pot.error_on_stderr("ifconfig epair failed")
    return pair


def _configure(pot: Pot, name: str, interface: str, setup: tuple[str, ...]) -> None:
    if conf.get(pot.root, name, "pot.attr.no-rc-script") == "YES":
        tinirc.interface(pot.root, name, interface, setup)


def _joined(
    pot: Pot, name: str, stack: str, ours: dict[str, str], theirs: dict[str, str], ports: list[_Port]
) -> Uplinks:
    for_status = f"{ours.get('4', '')}:{ours.get('6', '')}".removeprefix(":")
    return Uplinks(ours=tuple(ours.values()), for_status=for_status, network=_spec(pot, name, stack, theirs, ports))


def _spec(pot: Pot, name: str, stack: str, theirs: dict[str, str], ports: list[_Port]) -> network.NetworkSpec:
    from pot_sim import network  # noqa: PLC0415

    return network.NetworkSpec(
        kind=conf.network_type(pot.root, name),
        ip=conf.ip(pot.root, name),
        bridge=conf.get(pot.root, name, "bridge"),
        ports=() if faults.on(pot.root, "pf") else tuple((port.proto, port.pot, port.host) for port in ports),
        stack=stack,
        interfaces=tuple(theirs.values()),
    )


def _export(pot: Pot, name: str) -> list[_Port]:
    """The pot's exported ports, each with a host port; none if pf does not take them."""
    wanted = conf.export_ports(pot.root, name)
    if not wanted:
        return []
    ports: list[_Port] = []
    tunnel = conf.get(pot.root, name, "pot.attr.localhost-tunnel") == "YES"
    for word in wanted:
        port = _port(pot, word, [port.host for port in ports])
        ports.append(port)
        pot.debug(
            f"Redirect: from {_outside(pot)} : {port.proto}:{port.host} "
            f"to {conf.ip(pot.root, name)} : {port.proto}:{port.pot}"
        )
        if tunnel and not os.access(pot.root.path + _NCAT, os.X_OK):
            pot.error("nmap package is missing, localhost-tunnel attribute ignored")
    rules = [rule for port in ports for rule in _redirections(pot, name, port)]
    if faults.on(pot.root, "pfctl", name):
        complain("pfctl: Syntax error in config file: pf rules not loaded")
        pot.error("pfctl failed to apply redirection rules - ignoring but no redirection is performed")
        for rule in rules if pot.verbose else ():
            pot.echo(rule)
        return []
    epair.set_anchor(pot.root, pots.anchor(name), rules)
    return ports


def _port(pot: Pot, word: str, taken: list[int]) -> _Port:
    proto = "tcp"
    for each in ("udp", "tcp"):
        if word.startswith(each + ":"):
            proto, word = each, word.removeprefix(each + ":")
            break
    inner, colon, outer = word.partition(":")
    host = int(outer.split(":")[0]) if colon else _free_port(pot, taken)
    return _Port(proto, int(inner), host)


def _redirections(pot: Pot, name: str, port: _Port) -> list[str]:
    """The rules of pf, one for each of the host's interfaces that pot knows."""
    places = [(pot.config["POT_EXTIF"], _outside(pot))]
    places += [(extra, f"({extra})") for extra in pot.config["POT_EXTRA_EXTIF"].split()]
    inside = f"{conf.ip(pot.root, name)} port {port.pot}"
    return [
        f"rdr pass on {interface} proto {port.proto} from any to {address} port {port.host} -> {inside}"
        for interface, address in places
    ]


def _outside(pot: Pot) -> str:
    """Whose ports are redirected, as pf reads it."""
    return pot.config["POT_EXTIF_ADDR"] or f"({pot.config['POT_EXTIF']})"


def _free_port(pot: Pot, taken: list[int]) -> int:
    """The first that nobody listens on and no other pot has been given."""
    used = {*taken, *_listening(), *(_host_port(rule) for rule in _rules(pot))}
    return next(port for port in _FREE_PORTS if port not in used)


def _rules(pot: Pot) -> list[str]:
    return [rule for anchor in epair.anchors(pot.root) for rule in epair.anchor(pot.root, anchor)]


def _host_port(rule: str) -> int:
    return int(rule.partition(" -> ")[0].rpartition(" port ")[2])


def _listening() -> set[int]:
    found = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        with open(f"/proc/net/{table}", encoding="ascii") as file:
            rows = [row.split() for row in file.readlines()[1:]]
        found |= {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] in ("0A", "07")}
    return found
