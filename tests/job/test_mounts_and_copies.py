"""Mounts and copies: what pot would mangle is refused, what it would misread is spelled so that it does not."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pot_driver.model import Device, Mount, TaskConfig
from pot_driver.plan import build


def mount_ins(job) -> list[tuple[str, ...]]:
    return [step.argv[3:] for step in job.plan().steps if step.verb == "mount-in"]


def test_the_tasks_own_directories_are_always_mounted(job):
    task: TaskConfig = job.request

    assert mount_ins(job) == [
        ("-d", task.local_dir, "-m", "/local"),
        ("-d", task.secrets_dir, "-m", "/secrets"),
        ("-d", task.shared_dir, "-m", "/alloc"),
    ]


@pytest.mark.parametrize(
    ("option", "text", "read_only"),
    [
        ("mount", "/etc:/x", False),
        ("mount", "/etc:/x:ro", True),
        ("mount", "/etc:/x:rw", False),
        ("mount_read_only", "/etc:/x", True),
        ("mount_read_only", "/etc:/x:ro", True),
    ],
)
def test_ro_and_rw_are_what_they_say(job, option, text, read_only):
    last = mount_ins(job.config_with(**{option: [text]}))[-1]

    assert last == ("-d", "/etc", "-m", "/x", *(["-r"] if read_only else []))


@pytest.mark.parametrize(
    ("option", "text", "words"),
    [
        ("mount", "a", 'mount: "a" is not "SOURCE:DESTINATION"'),
        ("mount", ":/x", 'is not "SOURCE:DESTINATION"'),
        ("mount", "/etc:", 'is not "SOURCE:DESTINATION"'),
        ("mount", "/etc:/x:readonly", 'is not "SOURCE:DESTINATION"'),
        ("mount", "/etc:/x:/y:ro", 'is not "SOURCE:DESTINATION"'),
        ("mount_read_only", "/etc:/x:rw", "says :rw"),
        ("mount", "/etc:x", "must be absolute"),
        ("mount", "/etc:/x/../y", "without .."),
        ("mount", "/etc:/", "root directory"),
        ("mount", "/etc://", "root directory"),
        ("mount", "/etc:/./", "root directory"),
        ("mount", "/etc:/a b", "blank or backslash"),
        ("mount", "/etc:/a\\b", "blank or backslash"),
        ("mount", "/:/host", "cannot mount the host's root directory"),
        ("mount", "/etc:/local", "mount: \"/local\" is used twice: the task's own directory, and the job's mount"),
        ("copy", "/etc/passwd", 'copy: "/etc/passwd" is not "SOURCE:DESTINATION"'),
        ("copy", "/etc/passwd:x", "must be absolute"),
        ("copy", "/etc/passwd:/x:ro", 'is not "SOURCE:DESTINATION"'),
        ("copy", "/etc/passwd:/x/../y", "without .."),
        ("copy", "/etc:/", "root directory"),
        ("copy", "/etc/hosts:/etc/hosts", "would be lost: pot writes it at each start: use extra_hosts"),
        ("copy", "/etc/hosts:/etc//resolv.conf", "use dns"),
        ("copy", "/etc/passwd:/secrets/x", "would be hidden by what is mounted on /secrets"),
    ],
)
def test_what_cannot_be_is_refused(job, option, text, words):
    assert words in job.config_with(**{option: [text]}).problem()


def test_a_copy_below_a_mount_is_refused(job):
    problem = job.config_with(mount=["/etc:/mnt/a"], copy=["/etc/passwd:/mnt/a/b"]).problem()

    assert "would be hidden by what is mounted on /mnt/a" in problem


def test_directories_with_blanks_cannot_be_mounted(job):
    (job.local / "a b").mkdir()

    assert "blank" in job.config_with(mount=["local/a b:/x"]).problem()


def test_a_task_name_with_a_blank_is_refused_with_the_cause(job):
    for directory in ("local", "secrets"):
        (job.alloc_dir / "my web" / directory).mkdir(parents=True)
    problems = job.task_with(name="my web").problems()

    assert len(problems) == 2
    assert all('because of the task\'s name "my web"' in problem for problem in problems)


def test_copies_may_have_blanks(job):
    (job.local / "a b").write_text("x")
    steps = job.config_with(copy=["local/a b:/x y"]).plan().steps

    assert ("-s", f"{job.local}/a b", "-d", "/x y", "-c") in [s.argv[3:] for s in steps]


def test_a_copy_to_a_directory_spelled_with_a_slash_goes_into_it(job):
    spec = job.config_with(copy=["/etc/passwd:/root/"]).spec()

    assert spec.copies[0].destination == "/root/passwd"


def test_a_copied_directory_must_not_exist_in_the_image(job):
    (job.local / "d").mkdir()

    assert job.config_with(copy=["local/d:/srv/d", "/etc/passwd:/p"]).plan().new_directories == ("/srv/d",)


def test_outer_mounts_come_before_inner_ones(job):
    job.config_with(mount=["/usr:/a/b/c", "/etc:/a", "/var:/local/x"])

    inside = [m.destination for m in job.spec().mounts]

    assert inside.index("/a") < inside.index("/a/b/c")
    assert inside.index("/local") < inside.index("/local/x")


def test_volumes_of_the_group_are_mounted_with_their_mode(job, tmp_path):
    (tmp_path / "db").mkdir()
    mounts = (
        Mount(task_path="/db", host_path=f"{tmp_path}/db"),
        Mount(task_path="/ro", host_path="/etc", readonly=True),
    )

    found = mount_ins(job.task_with(mounts=mounts).plugin_with(volumes={"enabled": False}))

    assert found[-2:] == [("-d", f"{tmp_path}/db", "-m", "/db"), ("-d", "/etc", "-m", "/ro", "-r")]


def test_a_volume_and_a_mount_on_one_place_are_refused(job):
    job.task_with(mounts=(Mount(task_path="/x", host_path="/etc"),)).config_with(mount=["/usr:/x"])

    assert '"/x" is used twice: a volume of the group, and the job\'s mount "/usr:/x"' in job.problem()


def test_a_volume_that_is_not_there_is_refused(job):
    assert "volume_mount" in job.task_with(mounts=(Mount(task_path="/x", host_path="/nonexistent"),)).problem()


def test_devices_are_refused_with_the_way_out(job):
    problem = job.task_with(devices=(Device(task_path="/dev/x", host_path="/dev/nvidia0"),)).problem()

    assert problem.startswith('device: "/dev/nvidia0" cannot be given to a pot')
    assert "devfs_ruleset" in problem


def pot_refuses(directory: str, lines: str) -> bool:
    """Do as pot does: look for the name and a blank, as a basic regular expression, anywhere in the lines."""
    return bool(re.search(f"{re.escape(directory)} ".replace(r"\.", "."), lines))


PATHS = st.lists(st.sampled_from(["data", "mnt", "x", "a.b", "aXb"]), min_size=1, max_size=3).map(
    lambda p: "/" + "/".join(p)
)


@given(st.lists(st.tuples(PATHS, PATHS, st.booleans()), max_size=6, unique_by=lambda m: m[1]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pot_takes_every_directory_for_a_new_one(still_job, wanted):
    """The same one twice, one that ends like another, one called like a mount point: pot's check passes."""
    still_job.config["mount"] = [f"{source}:{inside}" for source, inside, ro in wanted if not ro]
    still_job.config["mount_read_only"] = [f"{source}:{inside}" for source, inside, ro in wanted if ro]
    planned = build(still_job.spec(look=False))

    lines = ""
    for step in planned.steps:
        if step.verb == "mount-in":
            directory, inside = step.argv[4], step.argv[6]
            assert not pot_refuses(directory, lines), (directory, lines)
            lines += f"{directory} {inside}{' ro' if '-r' in step.argv else ''}\n"
    sources = {
        step.argv[6]: step.argv[4].removesuffix("/.").removesuffix("/.")
        for step in planned.steps
        if step.verb == "mount-in"
    }
    assert all(sources[inside].startswith(source) for source, inside, _ in wanted)
