"""A job file becomes a job; nothing that it says is ignored in silence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pot_driver.errors import ConfigError
from pot_driver.model import Dns
from pot_driver.operator import jobfile
from pot_driver.operator.job import Group, Job, PortAsk, Task, TaskResources, Template, VolumeMount

HCL = """
job "web" {
  datacenters = ["dc2"]
  meta {
    owner = "ops"
  }
  group "g" {
    network {
      mode = "host"
      port "http" {
        static = 12000
      }
      port "dyn" {
        to = 8080
      }
      dns {
        servers = ["10.0.0.53"]
      }
    }
    task "t" {
      driver = "pot"
      user   = "www"
      kill_timeout = "1m30s"
      kill_signal  = "SIGINT"
      env {
        A = "x ${NOMAD_PORT_http}"
        B = 12
        C = true
      }
      template {
        data        = "hello"
        destination = "local/x"
        env         = true
        perms       = "600"
      }
      config {
        image = "file:///images"
        args  = ["-g", "'daemon off;'"]
        port_map = {
          http = "80"
        }
        option {
          a = 1
        }
        option {
          b = 2
        }
      }
      resources {
        cores      = 2
        memory     = 64
        memory_max = 128
      }
    }
  }
}
"""

JOB = Job(
    id="web",
    name="web",
    datacenter="dc2",
    meta={"owner": "ops"},
    groups=(
        Group(
            name="g",
            ports=(PortAsk(label="http", static=12000), PortAsk(label="dyn", to=8080)),
            dns=Dns(servers=("10.0.0.53",)),
            tasks=(
                Task(
                    name="t",
                    user="www",
                    kill_timeout_s=90.0,
                    kill_signal="SIGINT",
                    env={"A": "x ${NOMAD_PORT_http}", "B": "12", "C": "true"},
                    templates=(Template(data="hello", destination="local/x", env=True, perms=0o600),),
                    config={
                        "image": "file:///images",
                        "args": ["-g", "'daemon off;'"],
                        "port_map": [{"http": "80"}],
                        "option": [{"a": 1}, {"b": 2}],
                    },
                    resources=TaskResources(cpu_mhz=0, cores=2, memory_mb=64, memory_max_mb=128),
                ),
            ),
        ),
    ),
)

API = {
    "ID": "web",
    "Name": "web",
    "Type": "service",
    "Priority": 50,
    "Datacenters": ["dc2"],
    "Constraints": None,
    "Update": None,
    "Meta": {"owner": "ops"},
    "TaskGroups": [
        {
            "Name": "g",
            "Count": 1,
            "Services": None,
            "Networks": [
                {
                    "Mode": "host",
                    "DNS": {"Servers": ["10.0.0.53"], "Searches": None, "Options": None},
                    "ReservedPorts": [{"Label": "http", "Value": 12000, "To": 0}],
                    "DynamicPorts": [{"Label": "dyn", "Value": 0, "To": 8080}],
                }
            ],
            "Tasks": [
                {
                    "Name": "t",
                    "Driver": "pot",
                    "User": "www",
                    "KillTimeout": 90_000_000_000,
                    "KillSignal": "SIGINT",
                    "Env": {"A": "x ${NOMAD_PORT_http}", "B": "12", "C": "true"},
                    "Templates": [
                        {
                            "EmbeddedTmpl": "hello",
                            "DestPath": "local/x",
                            "Envvars": True,
                            "Perms": "600",
                            "LeftDelim": "{{",
                            "RightDelim": "}}",
                            "ChangeMode": "restart",
                        }
                    ],
                    "Config": {
                        "image": "file:///images",
                        "args": ["-g", "'daemon off;'"],
                        "port_map": [{"http": "80"}],
                        "option": [{"a": 1}, {"b": 2}],
                    },
                    "Resources": {"CPU": 0, "Cores": 2, "MemoryMB": 64, "MemoryMaxMB": 128},
                    "VolumeMounts": None,
                    "LogConfig": {"MaxFiles": 10, "MaxFileSizeMB": 10, "Disabled": False},
                }
            ],
        }
    ],
}


def read(tmp_path: Path, text: str, **variables: str) -> Job:
    path = tmp_path / "job"
    path.write_text(text, encoding="utf-8")
    return jobfile.read(path, variables)


def in_task(block: str) -> str:
    return f'job "j" {{\n group "g" {{\n task "t" {{\n driver = "pot"\n {block}\n }}\n }}\n}}\n'


def test_hcl_and_json_say_the_same(tmp_path: Path) -> None:
    assert read(tmp_path, HCL) == JOB
    assert read(tmp_path, json.dumps({"Job": API})) == JOB
    assert read(tmp_path, json.dumps(API)) == JOB


def test_a_task_right_below_the_job_is_a_group_of_its_own(tmp_path: Path) -> None:
    job = read(tmp_path, 'job "j" {\n task "t" {\n driver = "pot"\n config {}\n }\n}')

    assert [(group.name, group.tasks[0].name) for group in job.groups] == [("t", "t")]


def test_ports_of_old_jobs_are_found_in_the_resources(tmp_path: Path) -> None:
    block = 'resources {\n network {\n mbits = 10\n port "http" {}\n }\n }'

    task = read(tmp_path, in_task(block)).groups[0].tasks[0]

    assert task.resources.legacy_ports == (PortAsk(label="http"),)


def test_what_is_nomads_business_is_told(tmp_path: Path) -> None:
    text = """
    job "j" {
      constraint {
        attribute = "${attr.kernel.name}"
        value     = "freebsd"
      }
      update {}
      group "g" {
        count = 3
        restart {
          attempts = 2
        }
        task "t" {
          driver = "pot"
          service {
            name = "web"
            check {
              type = "tcp"
            }
          }
        }
        task "d" {
          driver = "docker"
          vault {}
        }
      }
    }
    """

    assert set(read(tmp_path, text).left_to_nomad) == {
        "constraint",
        "update",
        'task "d", which has driver = "docker"',
        'group "g": count = 3 (one allocation is run)',
        'group "g": restart',
        'task "t": service',
    }


@pytest.mark.parametrize(
    ("block", "needed"),
    [
        ('artifact {\n source = "http://x/y"\n }', "artifact"),
        ('volume_mount {\n volume = "v"\n destination = "/d"\n }', "volume_mount"),
        ("vault {}", "vault"),
        ('lifecycle {\n hook = "prestart"\n }', "lifecycle"),
        ('resources {\n device "gpu" {}\n }', "resources: device"),
        ('template {\n source = "x"\n destination = "local/x"\n }', 'template "local/x": source'),
        (
            'template {\n data = "{{ key \\"x\\" }} {{ env \\"A\\" }}"\n destination = "local/x"\n }',
            'template "local/x": {{ key "x" }}',
        ),
    ],
)  # fmt: skip
def test_what_would_change_the_task_if_it_were_left_out_is_named(tmp_path: Path, block: str, needed: str) -> None:
    assert read(tmp_path, in_task(block)).needs_nomad == (f'task "t": {needed}',)


def test_volumes_are_known_by_name_and_place(tmp_path: Path) -> None:
    block = 'volume_mount {\n volume = "v"\n destination = "/d"\n read_only = true\n }'

    task = read(tmp_path, in_task(block)).groups[0].tasks[0]

    assert task.volume_mounts == (VolumeMount(volume="v", destination="/d", read_only=True),)


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        read(tmp_path, in_task('frobnicate = 1\n kill_timeout = "x"'))

    assert error.value.problems == (
        f'{tmp_path}/job:5: task "t": frobnicate is not known here',
        f'{tmp_path}/job:6: task "t": kill_timeout: "x" is not a duration like "30s" or "1m30s"',
    )


def test_a_word_that_is_nearly_right_is_recognised(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='kil_timeout is not known here; did you mean "kill_timeout"'):
        read(tmp_path, in_task('kil_timeout = "5s"'))


def test_a_bridge_network_is_refused_with_the_reason(tmp_path: Path) -> None:
    text = 'job "j" {\n group "g" {\n network {\n mode = "bridge"\n }\n task "t" {\n driver = "pot"\n }\n }\n}'

    with pytest.raises(ConfigError, match='network mode = "bridge": FreeBSD clients have only "host"'):
        read(tmp_path, text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the job .*/none\.hcl: .*No such file"):
        jobfile.read(tmp_path / "none.hcl", {})


def test_broken_json_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"not JSON: .*line 1"):
        read(tmp_path, '{"Job": ')


def test_a_file_with_two_jobs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="one block: job"):
        read(tmp_path, 'job "a" {}\njob "b" {}')


@pytest.mark.parametrize(
    ("groups", "problem"),
    [
        ([], "job: there is no group"),
        ([{"Name": "g"}], 'group "g": there is no task in it'),
        ([{"Name": "g", "Tasks": [{"Name": "t"}]}], 'task "t": driver must be given'),
        ([{"Name": "g", "Tasks": [{"Name": "t", "Driver": "docker"}]}], 'job: there is no task with driver = "pot"'),
        ([{"Name": "g", "Tasks": [{"Name": "t", "Driver": "pot"}] * 2}], 'task "t" is there 2 times'),
        ([{"Name": "g", "Tasks": [{"Name": "t", "Driver": "pot"}]}] * 2, 'group "g" is there 2 times'),
    ],
)  # fmt: skip
def test_a_job_without_a_task_to_run_is_refused(groups: list[object], problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        jobfile.from_api({"ID": "j", "TaskGroups": groups})

    assert error.value.problems == (problem,)


def test_variables_for_json_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is JSON, which has no variables"):
        read(tmp_path, json.dumps(API), port="1")
