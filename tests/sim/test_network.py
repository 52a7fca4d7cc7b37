"""Networks of pots: addresses, bridges, neighbours, exported ports, and nothing of the host's changed.

Not here: pot's options about them (`test_checklist`).
"""

# ruff: noqa: PTH115, PTH208  (names in directories and in /proc are plain texts here)

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pot_sim import jail, network, registry
from pot_sim.network import NetworkSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Jails

SERVER = """
import socket, sys, threading
family = socket.AF_INET6 if sys.argv[1] == '6' else socket.AF_INET
tcp, udp = socket.create_server(('', 80), family=family), socket.socket(family, socket.SOCK_DGRAM)
udp.bind(('', 53))
def datagrams():
    while True:
        data, client = udp.recvfrom(1000)
        udp.sendto(data.upper(), client)
threading.Thread(target=datagrams, daemon=True).start()
def serve(connection, client):
    with connection:
        connection.sendall(client[0].encode() + b'|')
        while data := connection.recv(65536):
            connection.sendall(data)
        connection.sendall(b'|end')
while True:
    threading.Thread(target=serve, args=tcp.accept(), daemon=True).start()
"""


@pytest.fixture
def free_ports() -> list[int]:
    """Ports of the host that nobody has, TCP and UDP."""
    with closing(socket.socket()) as one, closing(socket.socket()) as two:
        for each in (one, two):
            each.bind(("", 0))
        return [one.getsockname()[1], two.getsockname()[1]]


def public(ip: str, *ports: tuple[str, int, int], **more: object) -> NetworkSpec:
    return NetworkSpec(kind="public-bridge", ip=ip, ports=ports, **more)  # type: ignore[arg-type]


def serve(jails: Jails, name: str, family: str = "4") -> subprocess.Popen[bytes]:
    return jails.attach(name, "python3", "-c", SERVER, family, stdin=subprocess.DEVNULL)


def talk(address: str, port: int, data: bytes, until: Callable[..., None]) -> bytes:
    """Everything a server has to say to `data`, once there is one."""
    answers: list[bytes] = []

    def answered() -> bool:
        try:
            with socket.create_connection((address, port), timeout=10) as client:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                said = b""
                while block := client.recv(1 << 16):
                    said += block
        except ConnectionError:
            return False
        answers.append(said)
        return True

    until(answered)
    return answers[0]


def ask(address: str, port: int, data: bytes, until: Callable[..., None]) -> tuple[bytes, str]:
    """One datagram's answer, and from which address it came."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.2)
        found: list[tuple[bytes, str]] = []

        def answered() -> bool:
            client.sendto(data, (address, port))
            try:
                answer, server = client.recvfrom(1000)
            except TimeoutError:
                return False
            found.append((answer, server[0]))
            return True

        until(answered)
    return found[0]


def host_addresses() -> list[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:  # no network at all
            return ["127.0.0.1", "127.0.0.2"]
        return ["127.0.0.1", "127.0.0.2", probe.getsockname()[0]]


# addresses


def conf(jails: Jails, name: str, ip: str) -> None:
    place = Path(jails.root.conf(name))
    place.mkdir(parents=True)
    (place / "pot.conf").write_text(f"ip={ip}\n")


def test_addresses_are_given_in_order_and_once(jails: Jails) -> None:
    assert network.allocate_ip(jails.root) == "10.192.0.3"  # after the gateway and the name server
    conf(jails, "a", "10.192.0.3")
    conf(jails, "b", "10.192.0.5")
    assert network.allocate_ip(jails.root) == "10.192.0.4"


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("10.192.0.77", True),
        ("10.255.255.254", True),
        ("10.192.0.1", False),
        ("10.192.0.3", False),
        ("10.192.0.0", False),
        ("10.255.255.255", False),
        ("10.1.1.1", False),
        ("fe80::1", False),
        ("nonsense", False),
        ("", False),
    ],
)
def test_an_address_must_be_free_and_of_the_network(jails: Jails, text: str, valid: bool) -> None:
    conf(jails, "a", "10.192.0.3")
    assert network.validate_ip(jails.root, text) is valid


def private(jails: Jails, name: str, hosts: int) -> str:
    net, gateway = network.allocate_net(jails.root, hosts)
    place = Path(jails.root.bridges)
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(f"net={net}\ngateway={gateway}\nname={name}\n")
    return net


def test_private_bridges_get_networks_of_their_own(jails: Jails) -> None:
    assert [private(jails, "one", 5), private(jails, "two", 5), private(jails, "big", 100)] == [
        "10.192.0.8/29",
        "10.192.0.16/29",
        "10.192.0.128/25",
    ]
    assert network.private_bridge(jails.root, "one") == ("10.192.0.8/29", "10.192.0.9")
    assert network.allocate_ip(jails.root, "one") == "10.192.0.10"
    assert not network.validate_ip(jails.root, "10.192.0.10")  # not on the public one
    assert network.validate_ip(jails.root, "10.192.0.10", "one")
    for number, last in enumerate(range(10, 15)):
        conf(jails, f"p{number}", f"10.192.0.{last}")
    with pytest.raises(network.NetworkError, match="no address left"):
        network.allocate_ip(jails.root, "one")


def test_public_addresses_spare_private_networks(jails: Jails) -> None:
    private(jails, "one", 5)
    for last in range(3, 8):
        conf(jails, f"p{last}", f"10.192.0.{last}")
    assert network.allocate_ip(jails.root) == "10.192.0.16"


# traffic


@pytest.mark.namespaces
def test_a_bridged_pot_has_its_own_interfaces_and_no_way_out(jails: Jails) -> None:
    before = set(os.listdir("/sys/class/net"))
    jails.create("a", network=public("10.192.0.3", interfaces=("epair7b",)))
    interfaces = jails.sh("a", "cut -d: -f1 /proc/net/dev | tail -n +3 | tr -d ' '").lines
    assert sorted(interfaces) == ["epair7b", "lo"]
    assert jails.run("a", "ifconfig", "epair7b").status == 0
    assert jails.run("a", "ifconfig", "epair0b").status == 1
    out = jails.run("a", "python3", "-c", "import socket; socket.create_connection(('192.0.2.1', 80))")
    assert "Network is unreachable" in out.err
    assert set(os.listdir("/sys/class/net")) == before


@pytest.mark.namespaces
def test_exported_ports_answer_on_every_address_of_the_host(
    jails: Jails, free_ports: list[int], until: Callable[..., None]
) -> None:
    tcp, udp = free_ports
    jails.create("a", network=public("10.192.0.3", ("tcp", 80, tcp), ("udp", 53, udp)))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", tcp))  # nobody listens yet: as the pot itself would answer
    serve(jails, "a")
    for address in host_addresses():
        assert talk(address, tcp, b"hello", until) == b"10.192.0.1|hello|end"
        assert ask(address, udp, b"hello", until) == (b"HELLO", address)
    large = os.urandom(3 << 20)
    assert talk("127.0.0.1", tcp, large, until) == b"10.192.0.1|" + large + b"|end"


@pytest.mark.namespaces
def test_a_port_is_free_again_with_the_end_of_its_jail(
    jails: Jails, free_ports: list[int], until: Callable[..., None]
) -> None:
    tcp, udp = free_ports
    ports = (("tcp", 80, tcp), ("udp", 53, udp))
    for _ in range(3):
        jails.create("a", network=public("10.192.0.3", *ports))
        serve(jails, "a")
        assert talk("127.0.0.1", tcp, b"x", until) == b"10.192.0.1|x|end"
        jail.remove(jails.root, "a", stop_timeout=0)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", tcp))
    jails.create("a", network=public("10.192.0.3", *ports))
    app = serve(jails, "a")
    jail.end_helper(jails.root, "a")
    app.kill()
    app.wait()
    until(lambda: not jails.lives("a"))
    for kind, port in ((socket.SOCK_STREAM, tcp), (socket.SOCK_DGRAM, udp)):
        until(lambda kind=kind, port=port: _is_free(kind, port))


def _is_free(kind: int, port: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
        return True


@pytest.mark.namespaces
def test_a_port_that_is_taken_is_only_a_message(
    jails: Jails, free_ports: list[int], capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("", free_ports[0])):
        jails.create("a", network=public("10.192.0.3", ("tcp", 80, free_ports[0])))
    assert capfd.readouterr().err == f"pfctl: tcp port {free_ports[0]}: Address already in use\n"
    assert jails.lives("a")


@pytest.mark.namespaces
def test_a_killed_server_resets_its_clients(jails: Jails, free_ports: list[int], until: Callable[..., None]) -> None:
    jails.create("a", network=public("10.192.0.3", ("tcp", 80, free_ports[0])))
    app = serve(jails, "a")
    talk("127.0.0.1", free_ports[0], b"x", until)
    with socket.create_connection(("127.0.0.1", free_ports[0])) as client:
        assert client.recv(11) == b"10.192.0.1|"
        app.kill()
        app.wait()
        assert client.recv(1) == b""
    with socket.create_connection(("127.0.0.1", free_ports[0])) as client, pytest.raises(ConnectionResetError):
        client.recv(1)


@pytest.mark.namespaces
def test_neighbours_reach_each_other_and_themselves(jails: Jails, until: Callable[..., None]) -> None:
    for name, ip in (("a", "10.192.0.3"), ("b", "10.192.0.4")):
        jails.create(name, network=public(ip))
        serve(jails, name)
    client = "import socket, sys; print(socket.create_connection((sys.argv[1], 80)).recv(99).decode())"
    for one, other in (("a", "10.192.0.4"), ("b", "10.192.0.3"), ("a", "10.192.0.3"), ("b", "127.0.0.1")):
        until(lambda one=one, other=other: jails.run(one, "python3", "-c", client, other).status == 0)
    assert jails.run("a", "python3", "-c", client, "10.192.0.4").out == "10.192.0.3|\n"


@pytest.mark.namespaces
def test_a_private_bridge_is_apart_from_the_public_one(jails: Jails, until: Callable[..., None]) -> None:
    private(jails, "quiet", 5)
    for name, ip in (("a", "10.192.0.10"), ("b", "10.192.0.11")):
        jails.create(name, network=NetworkSpec(kind="private-bridge", ip=ip, bridge="quiet"))
    jails.create("c", network=public("10.192.0.3"))
    serve(jails, "a")
    client = "import socket, sys; print(socket.create_connection((sys.argv[1], 80), timeout=1).recv(99).decode())"
    until(lambda: jails.run("b", "python3", "-c", client, "10.192.0.10").out == "10.192.0.11|\n")
    assert jails.run("c", "python3", "-c", client, "10.192.0.10").status != 0


@pytest.mark.namespaces
@pytest.mark.parametrize(("stack", "family"), [("ipv6", "6"), ("dual", "4"), ("dual", "6")])
def test_ipv6_pots_have_an_address_and_answer(
    jails: Jails, free_ports: list[int], until: Callable[..., None], stack: str, family: str
) -> None:
    tcp, udp = free_ports
    interfaces = ("epair0b", "epair1b") if stack == "dual" else ("epair0b",)
    ports = (("tcp", 80, tcp), ("udp", 53, udp))
    jails.create("a", network=public("10.192.0.3", *ports, stack=stack, interfaces=interfaces))
    serve(jails, "a", family)
    address = "127.0.0.1" if stack == "dual" and family == "4" else "::1"
    assert talk(address, tcp, b"x", until).endswith(b"|x|end")
    assert ask(address, udp, b"x", until) == (b"X", address)


@pytest.mark.namespaces
def test_an_alias_of_the_host_s_is_the_host_s_stack(jails: Jails) -> None:
    jails.create("a", network=NetworkSpec(kind="alias", ip="lo|127.0.0.7"))
    assert jails.run("a", "readlink", "/proc/self/ns/net").out.strip() == os.readlink("/proc/self/ns/net")


@pytest.mark.namespaces
def test_a_foreign_alias_can_be_had_and_neighbours_see_it(jails: Jails, until: Callable[..., None]) -> None:
    for name, ip in (("a", "198.51.100.7"), ("b", "198.51.100.8 2001:db8::8")):
        jails.create(name, network=NetworkSpec(kind="alias", ip=ip))
    serve(jails, "a")
    client = "import socket; print(socket.create_connection(('198.51.100.7', 80)).recv(99).decode())"
    until(lambda: jails.run("b", "python3", "-c", client).out == "198.51.100.8|\n")
    assert jails.run("b", "python3", "-c", "import socket; socket.socket(10).bind(('2001:db8::8', 9))").status == 0


@pytest.mark.namespaces
def test_the_switch_lives_as_long_as_a_bridged_jail_and_no_longer(jails: Jails, until: Callable[..., None]) -> None:
    def namespace(name: str) -> str:
        record = registry.running(jails.root.run, name)
        assert record is not None
        return os.readlink(f"/proc/{record.pid}/fd/{record.fields['switch']}")

    jails.create("a", network=public("10.192.0.3"))
    first = namespace("a")
    jails.create("b", network=public("10.192.0.4"))
    jail.remove(jails.root, "a", stop_timeout=0)
    jails.create("a", network=public("10.192.0.3"))
    assert {namespace("a"), namespace("b")} == {first}
    serve(jails, "b")
    client = "import socket; print(socket.create_connection(('10.192.0.4', 80)).recv(99).decode())"
    until(lambda: jails.run("a", "python3", "-c", client).out == "10.192.0.3|\n")


@pytest.mark.namespaces
@pytest.mark.slow
def test_two_roots_have_the_same_addresses_and_never_meet(
    jails: Jails, tmp_path: Path, until: Callable[..., None]
) -> None:
    other = type(jails)(tmp_path / "other", jails.archive)
    try:
        for place in (jails, other):
            place.create("a", network=public("10.192.0.3"))
            place.create("b", network=public("10.192.0.4"))
        serve(jails, "b")
        client = "import socket; print(socket.create_connection(('10.192.0.4', 80), timeout=1).recv(99).decode())"
        until(lambda: jails.run("a", "python3", "-c", client).status == 0)
        assert "refused" in other.run("a", "python3", "-c", client).err
    finally:
        other.close()
