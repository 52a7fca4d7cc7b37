"""The exported ports of one pot: what pf's rdr rules and the localhost tunnel do.

A process of its own per pot, which ends with the jail. It holds the host's ports from the start, and a TCP port
begins to answer when something in the pot listens, so that the host's side refuses just as long as the pot would.
Connections come to the pot from its gateway.

Not here: which ports (pot.conf), the pot's network (see `switch`).
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
from typing import Any, NamedTuple

from pot_sim import linux

_TRY_S = 0.05  # how soon a port is seen to be served
_BLOCK = 1 << 16
_UDP_CLIENTS = 512  # of one port; the one that came first is forgotten first
_READ, _WRITE = select.EPOLLIN, select.EPOLLOUT
_Address = tuple[Any, ...]  # of a UDP client, as recvmsg tells it
_BROKEN = select.EPOLLHUP | select.EPOLLERR


class Port(NamedTuple):
    """One exported port; `target` is the pot's address."""

    proto: str
    target: str
    pot_port: int
    host_port: int
    any_address: str  # 0.0.0.0 or ::


def start(ports: list[Port], switch: int, pid: int) -> int:
    """Start the process that serves them until process 1 of the jail ends; ports that are taken are only reported."""
    jail = os.pidfd_open(pid)
    bound, binding = os.pipe()
    forwarder = os.fork()
    if forwarder == 0:
        try:
            linux.close_all_but(jail, switch, binding)
            os.setsid()
            linux.set_process_name("forward")
            loop = _Loop(pid, jail)
            for port in ports:
                loop.export(port)
            null = os.open("/dev/null", os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(null, fd)
            linux.setns(switch, linux.NEWNET)
            os.close(binding)
            loop.run()
        finally:
            os._exit(0)
    os.close(binding)
    os.read(bound, 1)
    for fd in (jail, bound):
        os.close(fd)
    return forwarder


class _Loop:
    """Everything that waits for something: ports, connections, the end of the jail."""

    def __init__(self, pid: int, jail: int) -> None:
        self._pid = pid
        self._jail = jail
        self._poll = select.epoll()
        self._poll.register(jail, _READ)
        self._closed: dict[socket.socket, Port] = {}  # bound, but nothing in the pot listens yet
        self._open: dict[int, tuple[socket.socket, Port]] = {}
        self._streams: dict[int, _Connection] = {}
        self._datagrams: dict[int, _Datagrams] = {}

    def export(self, port: Port) -> None:
        family = socket.AF_INET6 if ":" in port.any_address else socket.AF_INET
        kind = socket.SOCK_DGRAM if port.proto == "udp" else socket.SOCK_STREAM
        listener = socket.socket(family, kind)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if port.proto == "tcp":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((port.any_address, port.host_port))
        except OSError as error:
            print(f"pfctl: {port.proto} port {port.host_port}: {error.strerror}", file=sys.stderr)
            return
        listener.setblocking(False)
        if port.proto == "udp":
            service = _Datagrams(listener, port, self._poll)
            self._datagrams[listener.fileno()] = service
            self._poll.register(listener, _READ)
        else:
            self._closed[listener] = port

    def run(self) -> None:
        while True:
            for fd, events in self._poll.poll(_TRY_S if self._closed else -1):
                if fd == self._jail:
                    return
                self._serve(fd, events)
            if self._closed:
                self._open_served()

    def _open_served(self) -> None:
        served = _listening(self._pid)
        for listener, port in list(self._closed.items()):
            if port.pot_port in served:
                listener.listen(128)
                self._open[listener.fileno()] = (listener, port)
                self._poll.register(listener, _READ)
                del self._closed[listener]

    def _serve(self, fd: int, events: int) -> None:
        if fd in self._open:
            self._accept(*self._open[fd])
        elif fd in self._streams:
            connection = self._streams[fd]
            if not connection.advance(fd, events):
                for each in connection.fds:
                    del self._streams[each]
                connection.close()
        elif fd in self._datagrams:
            self._datagrams[fd].receive()
        else:
            for service in self._datagrams.values():
                service.answer(fd)

    def _accept(self, listener: socket.socket, port: Port) -> None:
        try:
            client, _ = listener.accept()
        except OSError:  # it has gone again
            return
        connection = _Connection(client, (port.target, port.pot_port), self._poll)
        for fd in connection.fds:
            self._streams[fd] = connection


class _Connection:
    """A client and its connection into the pot; each end's half-close is passed on."""

    def __init__(self, client: socket.socket, target: tuple[str, int], poll: select.epoll) -> None:
        family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        server = socket.socket(family, socket.SOCK_STREAM)
        self._poll = poll
        self._sockets = {client.fileno(): client, server.fileno(): server}
        self._other = {client.fileno(): server.fileno(), server.fileno(): client.fileno()}
        self._pending = dict.fromkeys(self._sockets, b"")  # read from this one, not yet written to the other
        self._ended: set[int] = set()  # nothing more will be read from these
        self._shut: set[int] = set()  # and the other end has been told so
        self._registered: dict[int, int] = {}
        self._connecting = server.fileno()
        for end in self._sockets.values():
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server.connect_ex(target)
        self._watch()

    @property
    def fds(self) -> tuple[int, ...]:
        return tuple(self._sockets)

    def advance(self, fd: int, events: int) -> bool:
        """Move what can be moved; False when the connection is over."""
        try:
            if fd == self._connecting:
                error = self._sockets[fd].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if error:
                    self._reset(self._other[fd])
                    return False
                self._connecting = -1
            elif events & (_READ | _BROKEN) and fd not in self._ended and not self._pending[fd]:
                self._read(fd)
            for source in self._sockets:
                self._write(source)
        except BlockingIOError:
            pass
        except OSError:
            for each in self._sockets:
                self._reset(each)
            return False
        if len(self._shut) == len(self._sockets):
            return False
        self._watch()
        return True

    def _read(self, fd: int) -> None:
        data = self._sockets[fd].recv(_BLOCK)
        self._pending[fd] = data
        if not data:
            self._ended.add(fd)

    def _write(self, source: int) -> None:
        target = self._other[source]
        if target == self._connecting:
            return
        if self._pending[source]:
            sent = self._sockets[target].send(self._pending[source])
            self._pending[source] = self._pending[source][sent:]
        if not self._pending[source] and source in self._ended and source not in self._shut:
            self._sockets[target].shutdown(socket.SHUT_WR)
            self._shut.add(source)

    def _watch(self) -> None:
        for fd in self._sockets:
            wanted = _READ if fd not in self._ended and not self._pending[fd] else 0
            if self._pending[self._other[fd]] or fd == self._connecting:
                wanted |= _WRITE
            known = self._registered.get(fd, 0)
            if wanted and not known:
                self._poll.register(fd, wanted)
            elif wanted and wanted != known:
                self._poll.modify(fd, wanted)
            elif known and not wanted:
                self._poll.unregister(fd)
            self._registered[fd] = wanted

    def _reset(self, fd: int) -> None:
        self._sockets[fd].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def close(self) -> None:
        for end in self._sockets.values():
            end.close()


class _Datagrams:
    """One UDP port; every client has a socket of its own into the pot, by which answers find their way back."""

    def __init__(self, listener: socket.socket, port: Port, poll: select.epoll) -> None:
        self._listener, self._poll = listener, poll
        self._target = (port.target, port.pot_port)
        self._family = socket.AF_INET6 if ":" in port.target else socket.AF_INET
        self._clients: dict[_Address, socket.socket] = {}
        self._returns: dict[int, tuple[socket.socket, list[tuple[int, int, bytes]], _Address]] = {}
        if listener.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            listener.setsockopt(socket.IPPROTO_IP, getattr(socket, "IP_PKTINFO", 8), 1)

    def receive(self) -> None:
        try:
            data, where, _, client = self._listener.recvmsg(_BLOCK, 64)
        except OSError:
            return
        server = self._clients.get(client)
        if server is None:
            server = self._admit(client, where)
        with _forgiving():
            server.send(data)

    def _admit(self, client: _Address, where: list[tuple[int, int, bytes]]) -> socket.socket:
        if len(self._clients) >= _UDP_CLIENTS:
            oldest = next(iter(self._clients))
            gone = self._clients.pop(oldest)
            del self._returns[gone.fileno()]
            gone.close()
        server = socket.socket(self._family, socket.SOCK_DGRAM)
        server.connect(self._target)
        server.setblocking(False)
        self._clients[client] = server
        self._returns[server.fileno()] = (server, where, client)
        self._poll.register(server, _READ)
        return server

    def answer(self, fd: int) -> None:
        if fd not in self._returns:
            return
        server, where, client = self._returns[fd]
        with _forgiving():
            data = server.recv(_BLOCK)
            self._listener.sendmsg([data], where, 0, client)  # from the address that the client had asked


class _forgiving:  # noqa: N801 - reads as a word
    """Datagrams may be lost."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> bool:
        return kind is not None and issubclass(kind, OSError)


def _listening(pid: int) -> set[int]:
    """The TCP ports on which something in the pot listens, other than on its loopback."""
    found = set()
    for table in ("tcp", "tcp6"):
        try:
            with open(f"/proc/{pid}/net/{table}", encoding="ascii") as file:
                rows = [line.split() for line in file][1:]
        except OSError:
            continue
        for row in rows:
            address, port = row[1].split(":")
            if row[3] == "0A" and not address.endswith("7F") and address != "0" * 24 + "01000000":
                found.add(int(port, 16))
    return found
