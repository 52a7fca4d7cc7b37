"""A few words of rtnetlink: bridges, pairs of interfaces, addresses.

They act in the network namespace of the calling process.

Not here: which bridge and which address (see `switch`, `network`).
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct

_NEWLINK, _NEWADDR = 16, 20
_REQUEST, _ACK, _EXCL, _CREATE = 0x1, 0x4, 0x200, 0x400
_IFF_UP = 0x1
_IFNAME, _MASTER, _LINKINFO, _NET_NS_FD = 3, 10, 18, 28
_INFO_KIND, _INFO_DATA = 1, 2
_VETH_PEER = 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_IFA_F_NODAD = 0x02


def create_bridge(name: str) -> None:
    """A bridge, up. It may be there already."""
    info = _attribute(_INFO_KIND, b"bridge")
    with contextlib.suppress(FileExistsError):
        _request(_NEWLINK, _CREATE | _EXCL, _link(0) + _text(_IFNAME, name) + _attribute(_LINKINFO, info))
    up(name)


def create_pair(name: str, bridge: str, peer: str, namespace: int) -> None:
    """Two interfaces joined back to back: `name` here, on `bridge`, and `peer` in another namespace."""
    there = _link(0) + _text(_IFNAME, peer) + _attribute(_NET_NS_FD, struct.pack("=I", namespace))
    info = _attribute(_INFO_KIND, b"veth") + _attribute(_INFO_DATA, _attribute(_VETH_PEER, there))
    master = _attribute(_MASTER, struct.pack("=I", socket.if_nametoindex(bridge)))
    _request(_NEWLINK, _CREATE | _EXCL, _link(0) + _text(_IFNAME, name) + _attribute(_LINKINFO, info))
    _request(_NEWLINK, 0, _link(socket.if_nametoindex(name)) + master)
    up(name)


def up(name: str) -> None:
    """Switch an interface on."""
    _request(_NEWLINK, 0, _link(socket.if_nametoindex(name), flags=_IFF_UP))


def add_address(name: str, address: str, prefix: int) -> None:
    """Give an interface an address of its network; it may have it already."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = socket.inet_pton(family, address)
    header = struct.pack("=BBBBI", family, prefix, _IFA_F_NODAD, 0, socket.if_nametoindex(name))
    with contextlib.suppress(FileExistsError):
        _request(_NEWADDR, _CREATE | _EXCL, header + _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed))


def _link(index: int, *, flags: int = 0) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, flags)


def _text(kind: int, text: str) -> bytes:
    return _attribute(kind, text.encode() + b"\0")


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def _request(kind: int, flags: int, body: bytes) -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        netlink.send(struct.pack("=IHHII", 16 + len(body), kind, flags | _REQUEST | _ACK, 1, 0) + body)
        answer = netlink.recv(65536)
    (error,) = struct.unpack_from("=i", answer, 16)
    if error:
        raise OSError(-error, os.strerror(-error))
