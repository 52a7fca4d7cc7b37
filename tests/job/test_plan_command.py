"""`pot-driver plan`: what people and programs are shown of a job."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from pot_driver.operator import cli, jobfile
from pot_driver.operator.plan import plans_of

HERE = Path(__file__).parent
CORPUS = sorted((HERE / "corpus/jobs").iterdir())
EXAMPLES = sorted((HERE.parents[1] / "examples").glob("*.nomad.hcl"))
VALUES = {"images": "https://images.example.org", "host": "/srv", "port": "12000"}
WRONG = """
job "wrong" {
  group "g" {
    network {
      port "http" {}
    }
    task "one" {
      driver = "pot"
      config {
        image    = "https://images.example.org"
        pot      = "web"
        tag      = "1.0"
        mount    = ["a"]
        port_map = { htp = "80" }
      }
    }
    task "two" {
      driver = "pot"
      env = { "my.key" = "1" }
      config {
        image = "https://images.example.org"
        pot   = "web"
        tag   = "1.0"
      }
    }
  }
}
"""


@dataclass(frozen=True)
class Shown:
    returncode: int
    stdout: str
    stderr: str


def plan(job: Path, *options: str) -> Shown:
    text = job.read_text()
    given = [f"--var={name}={value}" for name, value in VALUES.items() if f'variable "{name}"' in text]
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        status = cli.main(["plan", str(job), *options, *given])
    return Shown(status, out.getvalue(), err.getvalue())


@pytest.mark.parametrize("job", [CORPUS[0], *EXAMPLES], ids=lambda path: path.name)
def test_a_good_job_is_shown_with_every_command_and_its_reason(job):
    done = plan(job)

    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    for command in ("pot import -p ", "pot clone -p ", "pot start -p ", "pot.cmd=/bin/sh /.pot-driver/start.sh"):
        assert any(line.strip().startswith(command) for line in lines), command
    assert any(line.strip().endswith("/secrets /secrets") for line in lines)
    assert any(line.strip().startswith("the pot's shell runs: ") for line in lines)


def test_for_programs_it_is_json():
    shown = json.loads(plan(CORPUS[0], "--json").stdout)

    (task,) = shown["tasks"]
    assert (shown["job"], task["group"], task["task"], task["problems"]) == ("nginx", "web", "nginx", [])
    assert [command["argv"][:2] for command in task["commands"]] == [
        ["pot", verb] for verb in ("import", "clone", "start")
    ]
    assert "pot.rss.memory=64M" in task["pot_conf"]
    assert any(line.endswith(" /secrets") for line in task["fscomp_conf"])
    assert task["command"]
    assert all(command["reason"] and command["timeout"] for command in task["commands"])
    assert task["ports"] == {"http": 80}


AGENT = """
data_dir = "/var/nomad"
plugin "nomad-pot-driver" {
  config {
    default_network_mode = "host"
    volumes {
      %s = ["/mnt/s3"]
    }
  }
}
"""


def test_the_agents_plugin_block_counts(tmp_path):
    agent = tmp_path / "agent.hcl"
    agent.write_text(AGENT % "allowed_paths")
    job = CORPUS[2]
    shown = json.loads(plan(job, "--json", f"--config={agent}").stdout)

    assert "-N inherit" in " ".join(shown["tasks"][0]["commands"][1]["argv"])
    assert "-N public-bridge" in plan(job).stdout
    agent.write_text(AGENT % "allowed_paths".replace("paths", "path"))
    done = plan(job, f"--config={agent}")
    assert (done.returncode, done.stdout) == (2, "")
    assert 'plugin block: Invalid label: No argument or block type is named "allowed_path"' in done.stderr


@pytest.mark.parametrize(("text", "problem"), [("", " has no block plugin"), (AGENT * 2, ": two blocks plugin")])
def test_a_configuration_without_the_one_plugin_block_is_refused(tmp_path, text, problem):
    agent = tmp_path / "agent.hcl"
    agent.write_text(text.replace("%s", "allowed_paths"))

    assert f'{agent}{problem} "nomad-pot-driver"' in plan(CORPUS[0], f"--config={agent}").stderr


def test_what_is_left_to_nomad_is_shown(tmp_path):
    job = tmp_path / "job.nomad.hcl"
    job.write_text(WRONG.replace('driver = "pot"', 'driver = "docker"', 1))

    assert plan(job).stdout.splitlines()[0] == 'left to Nomad: task "one", which has driver = "docker"'


def test_what_needs_nomad_can_be_planned(tmp_path):
    job = tmp_path / "job.nomad.hcl"
    blocks = 'vault {}\n volume_mount {\n volume = "db"\n destination = "/db"\n read_only = true\n }'
    job.write_text(WRONG.replace('env = { "my.key" = "1" }', blocks))
    shown = json.loads(plan(job, "--json").stdout)

    assert shown["left_to_nomad"] == ['task "two": vault', 'task "two": volume_mount']
    assert "/var/nomad/volumes/db /db ro" in shown["tasks"][1]["fscomp_conf"]


def test_it_says_the_same_each_time():
    assert plan(CORPUS[7]).stdout == plan(CORPUS[7]).stdout


def test_all_problems_of_all_tasks_are_shown(tmp_path):
    job = tmp_path / "wrong.nomad.hcl"
    job.write_text(WRONG)
    done = plan(job)

    assert done.returncode == 2
    assert 'problem: mount: "a" is not "SOURCE:DESTINATION"' in done.stdout
    assert 'problem: port_map: there is no port with the label "htp"' in done.stdout
    assert 'task "two" of group "g"' in done.stdout
    assert "note: env: my.key is not a name that a shell can export" in done.stdout


@pytest.mark.parametrize("job", CORPUS, ids=lambda path: path.name)
def test_every_job_of_the_corpus_can_be_planned(job):
    text = job.read_text()
    values = {name: value for name, value in VALUES.items() if f'variable "{name}"' in text}
    (task,) = plans_of(jobfile.read(job, values))

    if job.name.startswith("19"):
        assert 'No argument or block type is named "pot_name"' in task.problems[0]
    elif job.name.startswith("14"):
        assert task.problems == (
            'image: "IMAGES" is not a URL of images: it does not begin with http://, https:// or file://',
        )
    else:
        assert task.problems == ()
