"""The plan of a task, and the configuration that the driver composes for its pot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pot_driver.model import Port, Resources
from pot_driver.plan import compose
from pot_driver.plan.compose import PlacedMount
from pot_driver.pot import conf, parse
from pot_driver.pot.parse import PotConf

NAME = "web_1a2b3c4d_0f8e1d2c-0000-4000-8000-00000000aa01"
CLONE = PotConf(network_type="public-bridge", stack="ipv4", ips=("10.192.0.3",))
OWN = conf.read(f'host.hostname="{NAME}"\nip=10.192.0.3\npot.dns=inherit\n')


def composed(job, image: str, clone: PotConf = CLONE) -> str:
    return compose.pot_conf(job.spec(), conf.read(image), clone, OWN)


def test_every_job_takes_three_commands(job):
    job.task_with(resources=Resources(memory_mb=64)).config_with(
        attributes=["children:1"], copy=["/etc/passwd:/p"], mount=["/etc:/e"], extra_hosts=["a:10.0.0.1"], exec_stop="x"
    )

    assert [step.argv for step in job.plan().commands] == [
        ("import", "-p", "web", "-t", "1.0", "-U", "https://images.example.org/web"),
        ("clone", "-p", NAME, "-P", "web_1_0", "-N", "public-bridge"),
        ("start", "-p", NAME),
    ]
    assert [step.verb for step in job.plan().commands if step.locked] == ["import", "clone"]


def test_the_same_job_always_has_the_same_configuration(job):
    ports = tuple(Port(label=label, value=value) for value, label in enumerate("zyxab", 25000))
    job.with_ports(*ports).config_with(port_map=[{label: "80"} for label in "xzaby"])

    assert composed(job, "") == composed(job, "")
    assert "pot.export.ports=80:25003 80:25004 80:25002 80:25001 80:25000\n" in composed(job, "")


def test_nothing_of_an_image_is_inherited_unseen(job):
    image = (
        "pot.depend=other\npot.export.ports=22:22\npot.export.portsX=1:1\npot-attr-devfs_ruleset=0\npot.attr.mlock=NO\n"
        "pot.attr.mlock=YES\nevil\npot.attr.no-rc-script=NO\npot.attr.persistent=YES\npot.cmd=/evil\nip=1.2.3.4\n"
        "pot.dns=custom:/etc/master.passwd\npot.base=14.1\npot.level=1\npot.attr.prunable=YES\n"
    )
    text = composed(job, image)

    for line in (
        "pot.depend",
        "pot.export.ports",
        "ruleset=0",
        "evil",
        "YES\npot.attr.persistent",
        "1.2.3.4",
        "passwd",
    ):
        assert line not in text
    assert "pot.base=14.1\n" in text
    assert "pot.attr.no-rc-script=YES\n" in text
    assert "pot.attr.persistent=NO\n" in text
    assert compose.dropped(job.spec(), conf.read(image), []) == [
        "evil (unknown to pot, or there twice)",
        "pot-attr-devfs_ruleset (unknown to pot, or there twice)",
        "pot.attr.mlock (unknown to pot, or there twice)",
        "pot.export.portsX (unknown to pot, or there twice)",
        "pot.depend",
        "pot.export.ports",
    ]


def test_every_key_is_there_once(job):
    job.config_with(extra_hosts=["a:10.0.0.1", "b:10.0.0.2"])
    keys = [line.partition("=")[0] for line in composed(job, "pot.attr.mlock=YES\n").splitlines()]

    assert len(set(keys)) == len([key for key in keys if key != "pot.hosts"]) + 1


@pytest.mark.parametrize(
    "pairs",
    [
        [("pot.hosts", "10.0.0.1 pot.export.ports")],
        [("pot.hosts", "10.0.0.1 pot-export-ports\npot.export.ports=1:1")],
        [("pot.cmd", "a"), ("pot.cmd", "b")],
        [("pot.unknown", "x")],
        [("ip", "1\0")],
    ],
)
def test_what_pot_would_read_otherwise_is_never_written(pairs):
    with pytest.raises(ValueError, match="pot"):
        conf.write(pairs)


def test_a_host_called_like_a_key_of_pot_is_refused(job):
    with pytest.raises(ValueError, match="exported ports"):
        composed(job.config_with(extra_hosts=["pot.export.ports:10.0.0.1"]), "")


@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_an_image_brings_the_file_has_our_lines_alone(brought, value):
    image = conf.read(f"{brought}\npot.attr.mlock={value}\npot.hosts={value}\npot.base={value}\n{brought}")
    written = conf.write([("pot.base", "14.1"), *(("pot.hosts", h) for h in image.hosts if "\n" in h)])

    assert written == "pot.base=14.1\n"


@pytest.mark.parametrize(
    ("mount", "good"),
    [
        (PlacedMount(source="/a", destination="/b", read_only=True), True),
        (PlacedMount(source="/a b", destination="/b", read_only=False), False),
        (PlacedMount(source="zroot/pot", destination="/b", read_only=False), False),
        (PlacedMount(source="/a", destination="/b\n/c", read_only=False), False),
        (PlacedMount(source="/a", destination="/\x1b[0m", read_only=False), False),
    ],
)
def test_only_mounts_that_pot_can_make_are_written(mount, good):
    if good:
        assert compose.fscomp_conf([mount]) == "/a /b ro\n"
        return
    with pytest.raises(ValueError, match="not a mount"):
        compose.fscomp_conf([mount])


def test_a_bridged_pot_without_an_address_is_not_started(job):
    lost = PotConf(network_type="public-bridge", stack="ipv4")

    assert "no address on its bridge" in compose.problems(job.spec(), conf.read(""), lost)[0]
    six = PotConf(network_type="public-bridge", stack="ipv6")
    assert compose.problems(job.spec(), conf.read(""), six) == []


def test_attributes_that_an_image_brings_are_judged_like_a_jobs(job):
    job.plugin_with(allowed_attributes=["mlock"])
    image = conf.read("pot.attr.mlock=YES\npot.attr.raw_sockets=YES\npot.attr.children=0\n")

    assert compose.problems(job.spec(), image, CLONE) == [
        "its image sets the attribute raw_sockets to YES, which is not one of this node's allowed_attributes"
    ]


def test_an_image_keeps_its_network_when_the_job_wants_that(job):
    job.with_ports(Port(label="a", value=1)).config_with(network_mode="image", port_map={"a": "80"})
    inherit = PotConf(network_type="inherit", stack="ipv4")

    assert "-N" not in job.plan().clone.argv
    assert "pot.export.ports" not in composed(job, "", inherit)
    assert "pot.export.ports=80:1\n" in composed(job, "")


def test_hooks_of_an_image_are_refused_by_name(job):
    files = ["pot.conf", "fscomp.conf", "prestop.sh", "prestart.sh"]

    assert compose.refused_hooks(job.spec(), files) == (
        "image web 1.0 brings prestart.sh, prestop.sh, which pot would run on the host as root;"
        " this node does not allow that (allow_image_hooks)"
    )
    assert compose.refused_hooks(job.spec(), ["pot.conf", "fscomp.conf"]) == ""
    assert compose.refused_hooks(job.plugin_with(allow_image_hooks=True).spec(), files) == ""


def test_one_value_is_changed_and_nothing_else():
    text = "pot.level=0\npot.attr.stop_timeout=10\npot.cmd=x \udcff\n"

    changed = conf.replaced(text, "pot.attr.stop_timeout", "3")

    assert changed == "pot.level=0\npot.cmd=x \udcff\npot.attr.stop_timeout=3\n"
    assert parse.pot_conf(changed).attributes == {"stop_timeout": "3"}
