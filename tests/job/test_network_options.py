"""Network mode, ports, DNS, names: what pot is told, and what is refused with the reason."""

from __future__ import annotations

import pytest

from pot_driver.model import Dns, Port, Resources

HTTP = Port(label="http", value=25000)
DNS = Port(label="dns", value=25053)


def clone_options(job) -> dict[str, list[str]]:
    argv = job.plan().clone.argv
    found: dict[str, list[str]] = {}
    for flag, value in zip(argv[1::2], argv[2::2], strict=True):
        found.setdefault(flag, []).append(value)
    return found


def exported(job) -> list[str]:
    return job.conf().get("pot.export.ports", [""])[0].split()


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        (None, ["public-bridge"]),
        ("public-bridge", ["public-bridge"]),
        ("host", ["inherit"]),
        ("inherit", ["inherit"]),
        ("image", None),
    ],
)
def test_pot_is_told_the_network_type(job, mode, told):
    assert clone_options(job.config_with(network_mode=mode)).get("-N") == told


@pytest.mark.parametrize(("default", "told"), [("image", None), ("host", ["inherit"])])
def test_a_node_can_keep_what_the_go_driver_did_for_jobs_that_say_nothing(job, default, told):
    assert clone_options(job.plugin_with(default_network_mode=default)).get("-N") == told


def test_alias_takes_addresses(job):
    told = clone_options(job.config_with(network_mode="alias", ip=["em0|10.0.0.5", "fe80::1"]))

    assert told["-i"] == ["em0|10.0.0.5", "fe80::1"]


def test_private_bridge_takes_a_bridge(job):
    told = clone_options(job.config_with(network_mode="private-bridge", bridge="backend", network_stack="dual"))

    assert (told["-N"], told["-B"], told["-S"]) == (["private-bridge"], ["backend"], ["dual"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"network_mode": "alias"}, 'network_mode: "alias" needs ip'),
        ({"network_mode": "alias", "ip": ["em0"]}, 'ip: "em0" is neither an address nor "NIC|ADDRESS"'),
        ({"network_mode": "alias", "ip": ["auto"]}, 'ip: "auto" is neither'),
        ({"ip": ["10.0.0.1"]}, 'ip: "10.0.0.1": only network_mode = "alias" takes addresses'),
        ({"network_mode": "private-bridge"}, 'network_mode: "private-bridge" needs bridge'),
        ({"network_mode": "private-bridge", "bridge": "-x"}, 'bridge: "-x" is not a name'),
        ({"bridge": "b"}, 'bridge: "b": only network_mode = "private-bridge"'),
        ({"network_mode": "private-bridge", "bridge": "b", "network_stack": "ipv6"}, 'network_stack: "ipv6"'),
        ({"hostname": "web_1"}, 'hostname: "web_1" is not a host name'),
        ({"hostname": "x" * 63 + ".xy"}, "of at most 64"),
        ({"extra_hosts": ["db"]}, 'extra_hosts: "db" is not "NAME:ADDRESS"'),
        ({"extra_hosts": ["10.0.0.1:db"]}, 'extra_hosts: "10.0.0.1:db" is not'),
        ({"extra_hosts": ["a b:10.0.0.1"]}, "extra_hosts:"),
        ({"dns": "custom:local/none"}, 'dns: "local/none": No such file'),
    ],
)
def test_what_cannot_be_is_refused(job, options, words):
    assert words in job.config_with(**options).problem()


def test_ports_that_port_map_names_are_exported(job):
    job.with_ports(HTTP, DNS).config_with(port_map=[{"http": "80", "dns": "udp:53"}])

    assert exported(job) == ["udp:53:25053", "80:25000"]
    assert job.plan().port_map == {"http": 80, "dns": 53}


def test_the_tcp_prefix_is_left_away(job):
    """With it pot leaks the helper of its localhost tunnel."""
    assert exported(job.with_ports(HTTP).config_with(port_map=[{"http": "tcp:80"}])) == ["80:25000"]


def test_ports_of_old_jobs_are_known(job):
    job.task_with(resources=Resources(legacy_ports=(HTTP,))).config_with(port_map=[{"http": "80"}])

    assert exported(job) == ["80:25000"]


def test_ports_lists_labels_and_takes_what_the_group_says_of_them(job):
    job.with_ports(Port(label="http", value=25000, to=8080), DNS, Port(label="other", value=1, to=2))
    job.config_with(ports=["http", "udp:dns"])

    assert exported(job) == ["udp:25053:25053", "8080:25000"]


def test_without_port_map_and_ports_those_with_a_to_are_exported(job):
    job.with_ports(Port(label="http", value=25000, to=80), DNS)

    assert exported(job) == ["80:25000"]


def test_an_empty_list_of_ports_exports_nothing(job):
    assert exported(job.with_ports(Port(label="http", value=1, to=80)).config_with(ports=[])) == []


def test_a_label_of_two_host_networks_is_exported_twice(job):
    job.with_ports(HTTP, Port(label="http", value=25001, host_ip="10.1.1.1")).config_with(port_map=[{"http": "80"}])

    assert exported(job) == ["80:25000", "80:25001"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"port_map": [{"htp": "80"}]}, 'port_map: there is no port with the label "htp"'),
        ({"ports": ["htp"]}, "known: dns, http"),
        ({"port_map": [{"http": "0"}]}, 'port_map: "0" for "http" is not a port'),
        ({"port_map": [{"http": "65536"}]}, 'port_map: "65536"'),
        ({"port_map": [{"http": "80:90"}]}, 'port_map: "80:90"'),
        ({"port_map": [{"http": "sctp:80"}]}, 'port_map: "sctp:80"'),
        ({"port_map": [{"http": "80"}], "ports": ["dns"]}, "ports: cannot be given together with port_map"),
        ({"port_map": [{"http": "80"}], "network_stack": "ipv6"}, "pot exports ports for IPv4 only"),
    ],
)
def test_wrong_ports_are_refused(job, options, words):
    assert words in job.with_ports(HTTP, DNS).config_with(**options).problem()


def test_the_app_is_told_the_port_to_listen_on(job):
    env = {"NOMAD_PORT_http": "25000", "NOMAD_HOST_PORT_http": "25000", "NOMAD_ALLOC_PORT_http": "25000"}
    job.with_ports(HTTP).task_with(env=env).config_with(port_map=[{"http": "80"}])

    assert job.spec().environment.variables == {
        "NOMAD_PORT_http": "80",
        "NOMAD_ALLOC_PORT_http": "80",
        "NOMAD_HOST_PORT_http": "25000",
    }


def test_the_port_is_told_under_the_cleaned_label(job):
    job.with_ports(Port(label="my-port", value=25000)).config_with(port_map=[{"my-port": "80"}])

    assert job.spec().environment.variables == {"NOMAD_PORT_my_port": "80"}


@pytest.mark.parametrize(("network_type", "port"), [("inherit", "25000"), ("public-bridge", "80")])
def test_with_an_images_network_the_port_is_known_when_the_pot_is_prepared(job, network_type, port):
    job.with_ports(HTTP).task_with(env={"NOMAD_PORT_http": "25000"})
    job.config_with(network_mode="image", port_map=[{"http": "80"}])

    assert f"export NOMAD_PORT_http='{port}'\n" in job.script("env.sh", network_type=network_type)


def test_on_the_hosts_network_the_hosts_port_stays_and_the_difference_is_told(job):
    job.with_ports(HTTP).task_with(env={"NOMAD_PORT_http": "25000"})
    spec = job.config_with(network_mode="host", port_map=[{"http": "8080"}]).spec()

    assert spec.environment.variables["NOMAD_PORT_http"] == "25000"
    assert spec.warnings == (
        'port_map: network_mode = "host" forwards nothing: "http" is port 25000 in the pot too, not 8080',
    )
    assert exported(job) == []
    assert job.plan().port_map == {}


def test_an_alias_pot_is_reached_at_its_own_address(job):
    job.with_ports(HTTP).config_with(network_mode="alias", ip=["10.0.0.5"], port_map=[{"http": "80"}])

    assert exported(job) == []
    assert job.plan().port_map == {"http": 80}


def test_nomads_dns_block_becomes_a_resolv_conf(job):
    job.task_with(dns=Dns(servers=("1.1.1.1", "fe80::1%em0"), searches=("a.example", "b"), options=("ndots:2",)))

    assert clone_options(job)["-d"] == ["off"]  # the driver writes the file
    assert job.conf()["pot.dns"] == ["custom"]
    assert job.spec().network.resolv_conf == (
        "nameserver 1.1.1.1\nnameserver fe80::1%em0\nsearch a.example b\noptions ndots:2\n"
    )


def test_dns_is_the_tasks_then_the_groups_then_the_nodes(job):
    job.plugin_with(default_dns="pot")
    assert clone_options(job)["-d"] == ["pot"]
    job.task_with(dns=Dns(servers=("1.1.1.1",)))
    assert job.conf()["pot.dns"] == ["custom"]
    job.config_with(dns="off")
    assert clone_options(job)["-d"] == ["off"]
    assert job.conf()["pot.dns"] == ["off"]
    assert job.spec().network.resolv_conf is None


def test_a_dns_block_cannot_smuggle_lines(job):
    assert "dns:" in job.task_with(dns=Dns(servers=("1.1.1.1\nnameserver 6.6.6.6",))).problems()[0]


def test_extra_hosts_take_both_kinds_of_addresses(job):
    job.config_with(extra_hosts=["db:10.0.0.1", "six:fe80::1", "b:[fe80::2]"])

    assert job.conf()["pot.hosts"] == ["10.0.0.1 db", "fe80::1 six", "fe80::2 b"]
