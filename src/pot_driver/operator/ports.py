"""Ports and the address of this host, as Nomad's scheduler and client would choose them.

Not here: how a port gets into a pot (that is the driver's work).
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from pot_driver.errors import ConfigError
from pot_driver.model import Port

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pot_driver.operator.job import PortAsk

_ELSEWHERE = ("192.0.2.1", 9)  # a documentation address: no packet is sent, only the route is asked for


def host_address() -> str:
    """The address that this host uses towards the world, or loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def allocate(asked: Sequence[PortAsk], host_ip: str) -> tuple[Port, ...]:
    """Static ports as asked, others free; a static port that is taken is an error, as for the scheduler."""
    problems: list[str] = []
    ports = []
    for ask in asked:
        try:
            value = _bound(ask.static, host_ip)
        except OSError as why:
            problems.append(f'port "{ask.label}": static = {ask.static}: {why.strerror}')
            continue
        to = value if ask.to == -1 else ask.to
        ports.append(Port(label=ask.label, value=value, to=to, host_ip=host_ip))
    if problems:
        raise ConfigError(problems)
    return tuple(ports)


def _bound(port: int, host_ip: str) -> int:
    """A port that is free on every address and on this one.

    Without SO_REUSEADDR: FreeBSD would let the wildcard be bound beside a listener on one address. So a port of which a
    connection has just ended counts as taken for a minute on FreeBSD.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("0.0.0.0", port))  # noqa: S104 - only to learn that it is free
        free = int(probe.getsockname()[1])
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host_ip, free))
    return free
