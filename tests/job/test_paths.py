"""Host paths of a job: relative to the task, never out of where the job may go."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pot_driver import spec
from pot_driver.errors import ConfigError

STEPS = st.lists(st.sampled_from(["..", ".", "", "local", "secrets", "alloc", "link", "web", "private"]), max_size=6)


def mounted(job) -> dict[str, str]:
    return {m.destination: m.source.path for m in job.spec().mounts}


def test_relative_paths_are_in_the_tasks_directory(job):
    (job.local / "www").mkdir()
    job.config_with(mount=["local/www:/www"])

    assert mounted(job)["/www"] == str(job.local / "www")


@pytest.mark.parametrize("source", ["/local/www", "/secrets/www", "/alloc/www"])
def test_the_paths_that_the_task_sees_mean_its_own_directories(job, source):
    own = {
        "/local/www": job.local,
        "/secrets/www": job.alloc_dir / "web/secrets",
        "/alloc/www": job.alloc_dir / "alloc",
    }
    (own[source] / "www").mkdir()
    job.config_with(copy=[f"{source}:/www"])

    assert job.spec().copies[0].source.path == str(own[source] / "www")


@pytest.mark.parametrize(
    "source", ["../..", "local/../../..", "..", "local/up", "/local/../..", "private", "../web/private"]
)
def test_leaving_the_tasks_directories_is_refused(job, source):
    (job.local / "up").symlink_to("/etc")
    job.config_with(mount=[f"{source}:/x"])

    assert "leads out of the task's own directories" in job.problem()


def test_another_tasks_directories_are_not_ones_own(job):
    (job.alloc_dir / "db/secrets").mkdir(parents=True)
    job.config_with(mount=["../db/secrets:/x"])

    assert "leads out" in job.problem()


@given(STEPS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_accepted_lies_in_the_tasks_directories(job, steps):
    link = job.local / "link"
    if not link.is_symlink():
        link.symlink_to(job.alloc_dir.parent)
    source = "/".join(steps)
    if source.startswith("/"):
        source = f".{source}"
    job.config_with(mount=[f"{source}:/x"])

    if not job.problems():
        found = os.path.realpath(mounted(job)["/x"])
        assert any(found.startswith(str(job.alloc_dir / own)) for own in ("web", "alloc"))
        assert "/private" not in found


def test_with_volumes_disabled_the_host_is_closed(job, tmp_path):
    (tmp_path / "data").mkdir()
    job.plugin_with(volumes={"enabled": False}).config_with(
        mount=[f"{tmp_path}/data:/data"], copy=["/etc/passwd:/x"], dns="custom:/etc/resolv.conf"
    )

    assert len(job.problems()) == 3
    assert all("volumes disabled" in problem for problem in job.problems())


def test_only_allowed_paths_are_open(job, tmp_path):
    (tmp_path / "data/x").mkdir(parents=True)
    (tmp_path / "data2").mkdir()
    job.plugin_with(volumes={"allowed_paths": [f"{tmp_path}/data"]})

    assert job.config_with(mount=[f"{tmp_path}/data/x:/x"]).problems() == ()
    assert "not below one of this node's allowed_paths" in job.config_with(mount=[f"{tmp_path}/data2:/x"]).problem()
    assert "not below" in job.config_with(mount=[f"{tmp_path}/data/../data2:/x"]).problem()


def test_a_symlink_out_of_an_allowed_path_is_refused(job, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/etc").symlink_to("/etc")
    job.plugin_with(volumes={"allowed_paths": [f"{tmp_path}/data"]})

    assert "not below" in job.config_with(mount=[f"{tmp_path}/data/etc:/x"]).problem()
    assert "not below" in job.config_with(mount=[], copy=[f"{tmp_path}/data/etc/passwd:/x"]).problem()


def test_a_symlink_that_stays_is_followed_before_pot_sees_the_path(job):
    (job.local / "v2").mkdir()
    (job.local / "current").symlink_to("v2")
    job.config_with(mount=["local/current:/app"])

    assert mounted(job)["/app"] == str(job.local / "v2")


def swap(path, target) -> None:
    path.rename(f"{path}.old")
    path.symlink_to(target)


@pytest.mark.parametrize("option", ["mount", "mount_read_only", "copy"])
def test_a_directory_that_became_a_symlink_after_the_check_is_noticed(job, option):
    (job.local / "x").mkdir()
    checked = job.config_with(**{option: ["local/x:/x"]}).spec()

    swap(job.local / "x", "/etc")

    assert spec.recheck(checked) == [f"{job.local}/x was replaced after the job was checked"]


def test_a_parent_that_became_a_symlink_after_the_check_is_noticed(job, tmp_path):
    (job.local / "a/x").mkdir(parents=True)
    (tmp_path / "other/x").mkdir(parents=True)
    checked = job.config_with(mount=["local/a/x:/x"]).spec()

    swap(job.local / "a", tmp_path / "other")

    assert len(spec.recheck(checked)) == 1


def test_a_directory_that_vanished_after_the_check_is_noticed(job):
    (job.local / "x").mkdir()
    checked = job.config_with(mount=["local/x:/x"]).spec()

    (job.local / "x").rmdir()

    assert "was there when the job was checked" in spec.recheck(checked)[0]


def test_an_unchanged_job_is_found_unchanged(job):
    (job.local / "x").mkdir()

    assert spec.recheck(job.config_with(mount=["local/x:/x", "/etc:/y"], copy=["/etc/passwd:/p"]).spec()) == []


@pytest.mark.parametrize("source", ["local/none", "/nonexistent/x"])
def test_a_missing_source_is_refused_before_pot_is_asked(job, source):
    assert "No such file or directory on the host" in job.config_with(mount=[f"{source}:/x"]).problem()


def test_a_file_cannot_be_mounted(job):
    (job.local / "f").write_text("x")

    assert job.config_with(mount=["local/f:/x"]).problem().endswith("is not a directory (copy takes files)")


def test_a_fifo_cannot_be_copied(job):
    os.mkfifo(job.local / "f")

    assert "is not a file or directory" in job.config_with(copy=["local/f:/x"]).problem()


def test_a_job_that_is_only_planned_is_judged_by_its_text(job):
    job.config_with(mount=["local/later:/x", "/nonexistent:/y"], copy=["../../x:/z"])

    with pytest.raises(ConfigError) as caught:
        job.spec(look=False)

    assert len(caught.value.problems) == 1
