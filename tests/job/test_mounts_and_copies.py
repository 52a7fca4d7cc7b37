"""Mounts and copies: what pot would mangle is refused, what it would misread is spelled so that it does not."""

from __future__ import annotations

import pytest

from pot_driver.model import Device, Mount, TaskConfig


def test_the_tasks_own_directories_are_always_mounted(job):
    task: TaskConfig = job.request

    assert job.fscomp() == [f"{task.local_dir} /local", f"{task.secrets_dir} /secrets", f"{task.shared_dir} /alloc"]


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
    assert job.config_with(**{option: [text]}).fscomp()[-1] == f"/etc /x{' ro' if read_only else ''}"


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
    (copy,) = job.config_with(copy=["local/a b:/x y"]).spec().copies

    assert (copy.source.path, copy.destination) == (f"{job.local}/a b", "/x y")


def test_a_copy_to_a_directory_spelled_with_a_slash_goes_into_it(job):
    spec = job.config_with(copy=["/etc/passwd:/root/"]).spec()

    assert spec.copies[0].destination == "/root/passwd"


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

    found = job.task_with(mounts=mounts).plugin_with(volumes={"enabled": False}).fscomp()

    assert found[-2:] == [f"{tmp_path}/db /db", "/etc /ro ro"]


def test_a_volume_and_a_mount_on_one_place_are_refused(job):
    job.task_with(mounts=(Mount(task_path="/x", host_path="/etc"),)).config_with(mount=["/usr:/x"])

    assert '"/x" is used twice: a volume of the group, and the job\'s mount "/usr:/x"' in job.problem()


def test_a_volume_that_is_not_there_is_refused(job):
    assert "volume_mount" in job.task_with(mounts=(Mount(task_path="/x", host_path="/nonexistent"),)).problem()


def test_devices_are_refused_with_the_way_out(job):
    problem = job.task_with(devices=(Device(task_path="/dev/x", host_path="/dev/nvidia0"),)).problem()

    assert problem.startswith('device: "/dev/nvidia0" cannot be given to a pot')
    assert "devfs_ruleset" in problem


@pytest.mark.parametrize("inside", ["/.pot-driver", "/.pot-driver/x", "/.pot-driver/start.sh"])
def test_nothing_covers_the_drivers_scripts(job, inside):
    assert "the driver's own scripts are mounted there" in job.config_with(mount=[f"/etc:{inside}"]).problem()
    assert "the driver's own scripts" in job.config_with(mount=[], copy=[f"/etc/passwd:{inside}"]).problem()


def test_what_the_group_shares_is_neither_mounted_again_nor_mounted_on(job):
    """Another task could put a link in its place before pot mounts."""
    (job.alloc_dir / "alloc/www").mkdir()
    problem = job.config_with(mount=["../alloc/www:/www"]).problem()
    assert problem.endswith("other tasks of the group can replace it; the pot has it as /alloc/www already")
    assert "other tasks, which can replace" in job.config_with(mount=["/etc:/alloc/x"]).problem()


@pytest.mark.parametrize("path", [".", "./", "local/.."])
def test_the_whole_task_directory_is_not_mounted(job, path):
    assert "holds more than the task may see" in job.config_with(mount=[f"{path}:/td"]).problem()


@pytest.mark.parametrize("name", ["local", "secrets"])
def test_a_link_that_an_earlier_run_put_in_the_place_of_a_directory_is_refused(job, name):
    directory = job.alloc_dir / "web" / name
    directory.rmdir()
    directory.symlink_to("/etc")

    assert "is not the directory that Nomad made" in job.problem()


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_on_a_closed_node_a_source_that_others_can_rename_is_refused(job, tmp_path, mode):
    (tmp_path / "open/x").mkdir(parents=True)
    (tmp_path / "open").chmod(mode)
    job.config_with(mount=[f"{tmp_path}/open/x:/x"]).plugin_with(volumes={"allowed_paths": [str(tmp_path)]})

    assert f"others than root can rename what lies in {tmp_path}/open" in job.problem()
    (tmp_path / "open").chmod(0o755)
    assert job.problems() == ()
