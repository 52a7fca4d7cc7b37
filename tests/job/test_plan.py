"""The plan: which pot commands a task costs, in which order, and what pot must have done by them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pot_driver import plan as planning
from pot_driver.model import Mount, Port, Resources
from pot_driver.pot.parse import FscompEntry, PotConf

NAME = "web_1a2b3c4d_0f8e1d2c-0000-4000-8000-00000000aa01"


def conf_of(plan, **changes: object) -> PotConf:
    """What pot.conf says when pot did what it was asked."""
    good = PotConf(
        cmd=plan.expect.cmd,
        network_type=plan.expect.network_type or "inherit",
        ips=("10.192.0.3",),
        export_ports=tuple(sorted(plan.expect.export_ports, reverse=True)),
        attributes={**plan.expect.attributes, "raw_sockets": "NO", "to-be-pruned": "NO"},
    )
    return replace(good, **changes)


def fscomp_of(plan) -> list[FscompEntry]:
    mounts = plan.expect.mounts
    return [FscompEntry(source=m.source, destination=m.destination, option="ro" if m.read_only else "") for m in mounts]


def test_a_minimal_job_takes_eight_commands(job):
    job.task_with(resources=Resources(memory_mb=64))
    alloc = job.alloc_dir

    assert [step.argv for step in job.plan().commands] == [
        (
            "prepare", "-U", "https://images.example.org/web", "-p", "web", "-t", "1.0", "-n", "web",
            "-a", "1a2b3c4d_0f8e1d2c-0000-4000-8000-00000000aa01", "-c", '"/bin/sh /secrets/.pot/start.sh"',
            "-N", "public-bridge",
        ),
        ("info", "-qp", NAME),
        ("set-attribute", "-p", NAME, "-A", "prunable", "-V", "NO"),
        ("mount-in", "-p", NAME, "-d", f"{alloc}/web/local", "-m", "/local"),
        ("mount-in", "-p", NAME, "-d", f"{alloc}/web/secrets", "-m", "/secrets"),
        ("mount-in", "-p", NAME, "-d", f"{alloc}/alloc", "-m", "/alloc"),
        ("set-rss", "-p", NAME, "-M", "64M"),
        ("start", "-p", NAME),
    ]  # fmt: skip


def test_attributes_come_first_then_copies_mounts_limits_hosts(job):
    job.task_with(resources=Resources(memory_mb=64)).config_with(
        attributes=["children:1"], copy=["/etc/passwd:/p"], mount=["/etc:/e"], extra_hosts=["a:10.0.0.1"], exec_stop="x"
    )

    verbs = [step.verb for step in job.plan().commands]

    assert verbs == [
        "prepare", "info", *["set-attribute"] * 3, "copy-in", *["mount-in"] * 4, "set-rss", "set-hosts", "start",
    ]  # fmt: skip


def test_the_same_job_always_has_the_same_plan(job):
    ports = tuple(Port(label=label, value=value) for value, label in enumerate("zyxab", 25000))
    job.with_ports(*ports).config_with(port_map=[{label: "80"} for label in "xzaby"])

    assert job.plan().prepare.argv == job.plan().prepare.argv
    assert job.plan().prepare.argv[-10::2] == ("-e",) * 5
    assert job.plan().prepare.argv[-9::2] == ("80:25003", "80:25004", "80:25002", "80:25001", "80:25000")


def test_every_step_says_why(job):
    job.config_with(copy=["/etc/passwd:/p"], mount=["/etc:/e:ro"], attributes=["children:1"])

    reasons = [step.reason for step in job.plan().commands]

    assert "mount /local: the task's own directory" in reasons
    assert 'mount /e: the job\'s mount "/etc:/e:ro"' in reasons
    assert "copy /etc/passwd to /p" in reasons


def test_steps_that_pot_does_one_at_a_time_are_marked(job):
    job.config_with(copy=["/etc/passwd:/p"], extra_hosts=["a:10.0.0.1"])

    assert {step.verb for step in job.plan().commands if step.locked} == {"prepare", "copy-in", "set-hosts"}


def test_a_pot_that_is_what_was_asked_has_no_differences(job):
    plan = job.with_ports(Port(label="a", value=1)).config_with(port_map={"a": "80"}, mount=["/etc:/e:ro"]).plan()

    assert planning.verify(plan, conf_of(plan), fscomp_of(plan)) == []


def test_datasets_of_the_image_are_not_mounts_of_the_host(job):
    plan = job.plan()
    own = FscompEntry(source="zroot/pot/fscomp/x", destination="/opt/pot/jails/x/m/data")

    assert planning.verify(plan, conf_of(plan), [own, *fscomp_of(plan)]) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cmd": None}, 'its command is "" instead of "/bin/sh /secrets/.pot/start.sh"'),
        ({"cmd": "/bin/sh /etc/rc"}, 'its command is "/bin/sh /etc/rc"'),
        ({"network_type": "inherit"}, 'its network is "inherit" instead of "public-bridge"'),
        ({"export_ports": ("80",)}, 'its exported ports are "80" instead of "80:1"'),
        ({"export_ports": ()}, 'its exported ports are "" instead of "80:1"'),
        ({"ips": ()}, "it has no address on its bridge"),
        ({"attributes": {}}, 'its attribute persistent is "" instead of "NO"'),
    ],
)
def test_what_pot_did_not_do_is_noticed(job, changes, words):
    plan = job.with_ports(Port(label="a", value=1)).config_with(port_map={"a": "80"}).plan()

    assert any(words in problem for problem in planning.verify(plan, conf_of(plan, **changes), fscomp_of(plan)))


def test_only_ipv6_pots_have_no_address_of_potnets(job):
    plan = job.plan()

    assert planning.verify(plan, conf_of(plan, ips=(), stack="ipv6"), fscomp_of(plan)) == []


def test_a_mount_that_covers_the_pots_root_is_noticed(job):
    plan = job.plan()
    entries = fscomp_of(plan)
    entries[1] = replace(entries[1], destination="/")

    assert "its mount /secrets would cover the pot's root" in planning.verify(plan, conf_of(plan), entries)[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda entries: entries[:-1], "it has 3 mounts of the host instead of 4"),
        (lambda entries: [*entries, FscompEntry(source="/etc", destination="/x")], "it has 5 mounts"),
        (lambda entries: [*entries[:-1], replace(entries[-1], option="")], "its mount of /etc became /etc on /e"),
        (lambda entries: [*entries[:-1], replace(entries[-1], source="/usr")], "became /usr on /e ro"),
        (
            lambda entries: [*entries[:-1], replace(entries[-1], destination="/alloc")],
            "are the same place in the image",
        ),
    ],
)
def test_other_mounts_than_those_asked_are_noticed(job, change, words):
    plan = job.config_with(mount_read_only=["/etc:/e"]).plan()

    assert words in planning.verify(plan, conf_of(plan), change(fscomp_of(plan)))[0]


def test_a_mount_point_behind_a_symlink_of_the_image_is_fine(job):
    plan = job.config_with(mount=["/etc:/home/x"]).plan()
    entries = fscomp_of(plan)
    entries[-1] = replace(entries[-1], destination="/usr/home/x")

    assert planning.verify(plan, conf_of(plan), entries) == []


def test_attributes_that_an_image_brings_are_judged_like_a_jobs(job):
    plan = job.plugin_with(allowed_attributes=["mlock"]).plan()
    conf = conf_of(plan)
    brought = replace(conf, attributes={**conf.attributes, "raw_sockets": "YES", "mlock": "YES"})

    assert planning.verify(plan, brought, fscomp_of(plan)) == [
        "its image sets the attribute raw_sockets to YES, which is not one of this node's allowed_attributes"
    ]


def test_an_image_of_whatever_network_is_fine_when_the_job_wants_the_images(job):
    job.with_ports(Port(label="a", value=1)).config_with(network_mode="image", port_map={"a": "80"})
    plan = job.plan()

    assert "-N" not in plan.prepare.argv
    assert planning.verify(plan, conf_of(plan, network_type="inherit", export_ports=()), fscomp_of(plan)) == []


def test_hooks_of_an_image_are_refused_by_name(job):
    files = ["pot.conf", "fscomp.conf", "prestop.sh", "prestart.sh", "other.sh"]

    assert planning.refused_hooks(job.plan(), files) == (
        "image web 1.0 brings prestart.sh, prestop.sh, which pot would run on the host as root;"
        " this node does not allow that (allow_image_hooks)"
    )
    assert planning.refused_hooks(job.plan(), ["pot.conf", "fscomp.conf"]) == ""
    assert planning.refused_hooks(job.plugin_with(allow_image_hooks=True).plan(), files) == ""


def test_mounts_that_others_can_redirect_are_looked_at_from_inside(job, tmp_path):
    (tmp_path / "data").mkdir()
    (job.local / "own").mkdir()
    job.config_with(mount=[f"{tmp_path}/data:/data", "local/own:/own"])

    script = job.script("start.sh")

    assert f"look '/data' {(tmp_path / 'data').stat().st_ino}\n" in script
    assert "look '/own'" not in script
    assert "/bin/ls" in job.plan().programs


def test_volumes_of_the_group_are_trusted(job):
    job.task_with(mounts=(Mount(task_path="/db", host_path="/etc"),))

    assert "look" not in job.script("start.sh")
