"""How the pot is connected: mode, addresses, names.

Not here: a port's numbers (see `ports`).
"""

from __future__ import annotations

import ipaddress
import re

from pot_driver.config.checks import shown
from pot_driver.model import Dns
from pot_driver.spec.draft import Draft
from pot_driver.spec.paths import resolve
from pot_driver.spec.ports import exports
from pot_driver.spec.values import Export, HostPath, Network

_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")
_KNOWN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")  # what people put into /etc/hosts
_INTERFACE = re.compile(r"[A-Za-z0-9_.:-]{1,15}")
_HOST_NAME_LENGTH = 64  # what FreeBSD and pot take


def network(draft: Draft) -> Network:
    """The pot's network."""
    options = draft.options
    mode = options.network_mode or draft.plugin.default_network_mode
    kind = {"host": "inherit", "image": None}.get(mode, mode)
    ips = _ips(draft, mode)
    bridge = _bridge(draft, mode)
    if mode == "private-bridge" and options.network_stack == "ipv6":
        draft.wrong("network_stack", '"ipv6": pot\'s private bridges have no IPv6')
    ports = exports(draft)
    if kind in {"inherit", "alias"}:
        _tell_unmapped(draft, mode, ports)
    elif ports and options.network_stack == "ipv6":
        draft.wrong("network_stack", '"ipv6": pot exports ports for IPv4 only, so port_map and ports cannot work')
    dns, resolv_conf, resolv_file = _dns(draft)
    return Network(
        type=kind,
        ips=ips,
        bridge=bridge,
        stack=options.network_stack,
        dns=dns,
        resolv_conf=resolv_conf,
        resolv_file=resolv_file,
        hostname=_hostname(draft),
        hosts=tuple(pair for text in options.extra_hosts if (pair := _extra_host(draft, text))),
        exports=ports,
    )


def _ips(draft: Draft, mode: str) -> tuple[str, ...]:
    given = draft.options.ip
    if mode != "alias":
        if given:
            draft.wrong("ip", f'{shown(given[0])}: only network_mode = "alias" takes addresses; pot chooses the others')
        return ()
    if not given:
        draft.wrong("network_mode", '"alias" needs ip, for example ip = ["em0|10.0.0.5"]')
    for text in given:
        nic, bar, address = text.rpartition("|")
        if not _address(address) or (bar and not _INTERFACE.fullmatch(nic)):
            draft.wrong("ip", f'{shown(text)} is neither an address nor "NIC|ADDRESS"')
    return given


def _bridge(draft: Draft, mode: str) -> str | None:
    given = draft.options.bridge
    if mode != "private-bridge":
        if given is not None:
            draft.wrong("bridge", f'{shown(given)}: only network_mode = "private-bridge" takes a bridge')
        return None
    if given is None:
        draft.wrong(
            "network_mode", '"private-bridge" needs bridge, the name of one made with pot create-private-bridge'
        )
    elif not _KNOWN_NAME.fullmatch(given):
        draft.wrong("bridge", f"{shown(given)} is not a name of a bridge")
    return given


def _tell_unmapped(draft: Draft, mode: str, ports: tuple[Export, ...]) -> None:
    """Without a bridge nothing is forwarded: say so where that makes a difference."""
    for export in ports if mode != "alias" else ():
        if export.pot_port != export.host_port:
            draft.warn(
                "port_map" if draft.options.port_map else "ports",
                f'network_mode = "{mode}" forwards nothing: "{export.label}" is port {export.host_port} in the pot too,'
                f" not {export.pot_port}",
            )


def _dns(draft: Draft) -> tuple[str | None, str | None, HostPath | None]:
    """Pot's word for it, and the resolv.conf: from Nomad's `dns` block, or a file."""
    asked, nomad = draft.options.dns, draft.task.dns
    if asked is None and nomad is not None and (nomad.servers or nomad.searches or nomad.options):
        return "custom", _resolv_conf(draft, nomad), None
    if asked is not None and asked.startswith("custom:"):
        return "custom", None, resolve(draft, "dns", asked.removeprefix("custom:"), directory=False)
    default = draft.plugin.default_dns
    if asked is None and default is not None and default.startswith("custom:"):
        return "custom", None, HostPath(path=default.removeprefix("custom:"))  # the administrator's own
    return asked or default, None, None


def _resolv_conf(draft: Draft, dns: Dns) -> str:
    for word in (*dns.servers, *dns.searches, *dns.options):
        if not re.fullmatch(r"[!-~]+", word):
            draft.wrong("dns", f"{shown(word)} cannot be a word of resolv.conf")
    for server in dns.servers:
        if not _address(server.partition("%")[0]):
            draft.wrong("dns", f"{shown(server)} is not an address")
    lines = [f"nameserver {server}\n" for server in dns.servers]
    lines += [f"search {' '.join(dns.searches)}\n"] if dns.searches else []
    lines += [f"options {' '.join(dns.options)}\n"] if dns.options else []
    return "".join(lines)


def _hostname(draft: Draft) -> str | None:
    name = draft.options.hostname
    if name is not None and (not _HOST_NAME.fullmatch(name) or len(name) > _HOST_NAME_LENGTH):
        draft.wrong(
            "hostname", f"{shown(name)} is not a host name of at most {_HOST_NAME_LENGTH} letters, digits, - and ."
        )
    return name


def _extra_host(draft: Draft, text: str) -> tuple[str, str] | None:
    name, colon, address = text.partition(":")
    address = address.removeprefix("[").removesuffix("]")
    if not colon or not _KNOWN_NAME.fullmatch(name) or not _address(address):
        draft.wrong("extra_hosts", f'{shown(text)} is not "NAME:ADDRESS", for example "db:10.0.0.1"')
        return None
    return name, address


def _address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text
