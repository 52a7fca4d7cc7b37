"""Which ports of the pot the host answers for: `port_map`, `ports`, or the group's ports that say `to`.

Not here: the network that a pot is in (see `network`).
"""

from __future__ import annotations

import re

from pot_driver.config.checks import shown
from pot_driver.model import Port
from pot_driver.spec.draft import Draft
from pot_driver.spec.values import Export

_MAPPED = re.compile(r"(?:(tcp|udp):)?([0-9]{1,5})")
_LABEL = re.compile(r"(?:(tcp|udp):)?(.*)", re.DOTALL)
_HIGHEST = 65535


def exports(draft: Draft) -> tuple[Export, ...]:
    """The exports that the job asks for, in the order of their labels."""
    options, resources = draft.options, draft.task.resources
    granted = resources.ports + resources.legacy_ports
    if options.port_map and options.ports:
        draft.wrong("ports", "cannot be given together with port_map: use one of them")
        return ()
    if options.port_map:
        found = [e for label, text in options.port_map.items() for e in _mapped(draft, granted, label, text)]
    elif options.ports is not None or options.port_map is not None:
        found = [e for text in options.ports or () for e in _listed(draft, granted, text)]
    else:
        found = [_as_granted(port) for port in resources.ports if port.to > 0]
    return tuple(sorted(set(found), key=lambda e: (e.label, e.pot_port, e.host_port, e.udp)))


def _mapped(draft: Draft, granted: tuple[Port, ...], label: str, text: str) -> list[Export]:
    match = _MAPPED.fullmatch(text)
    if not match or not 0 < int(match[2]) <= _HIGHEST:
        draft.wrong("port_map", f'{shown(text)} for {shown(label)} is not a port such as "80" or "udp:53"')
        return []
    ports = _find(draft, "port_map", granted, label)
    udp, pot_port = match[1] == "udp", int(match[2])
    return [Export(label=label, pot_port=pot_port, host_port=port.value, udp=udp) for port in ports]


def _listed(draft: Draft, granted: tuple[Port, ...], text: str) -> list[Export]:
    match = _LABEL.fullmatch(text)
    protocol, label = (match[1], match[2]) if match else (None, text)
    return [_as_granted(port, udp=protocol == "udp") for port in _find(draft, "ports", granted, label)]


def _as_granted(port: Port, *, udp: bool = False) -> Export:
    pot_port = port.to if port.to > 0 else port.value
    return Export(label=port.label, pot_port=pot_port, host_port=port.value, udp=udp)


def _find(draft: Draft, option: str, granted: tuple[Port, ...], label: str) -> list[Port]:
    """Several with the same label: one for each host network."""
    found = [port for port in granted if port.label == label]
    if not found:
        known = ", ".join(sorted({port.label for port in granted})) or "none"
        draft.wrong(option, f"there is no port with the label {shown(label)} in the group's network; known: {known}")
    return found
