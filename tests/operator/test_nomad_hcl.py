"""HCL that Nomad itself reads: what it is asked, and what becomes of its answers.

The answers are those of Nomad 1.9.6 to the files in `nomad`; values that it leaves null are not kept.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pot_driver.errors import ConfigError
from pot_driver.operator import agentfile, jobfile

FILES = Path(__file__).parent / "nomad"
WRONG = """\
Error getting job struct: Error parsing job file from /x/wrong.nomad.hcl:
wrong.nomad.hcl:5,7-17: Unsupported argument; An argument named "frobnicate" is not expected here.
wrong.nomad.hcl:9,23-27: Unsuitable value type; Unsuitable duration value: time: invalid duration "soon"
"""
UNDECLARED = """\
Error getting job struct: Error parsing job file from /x/many.nomad.hcl:
<nil>: Undefined -var variable; A "prot" variable was passed in the command line but was not found in known variables.
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a `nomad` on PATH writes what it is asked; it answers with `out`, `err` and `status` beside it."""
    script = tmp_path / "bin" / "nomad"
    script.parent.mkdir()
    script.write_text(
        f"#!/bin/sh\ncd {tmp_path}\nprintf '%s\\n' \"$@\" >asked\nenv >environment\n"
        "cat out; cat err >&2\nexit $(cat status)\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    answer(tmp_path, (FILES / "many.json").read_text())
    return tmp_path / "asked"


def answer(place: Path, out: str = "", err: str = "", status: int = 0) -> None:
    for name, text in {"out": out, "err": err, "status": str(status)}.items():
        (place / name).write_text(text)


def test_what_nomad_makes_of_a_job_file_is_the_job(asked: Path) -> None:
    job = jobfile.read(FILES / "many.nomad.hcl", {"images": "http://m"}, [Path("a.hcl")])

    assert [group.name for group in job.groups] == ["size-64", "size-128"]
    assert [port.to for group in job.groups for port in group.ports] == [8000, 8001]
    task = job.groups[1].tasks[0]
    assert (task.config["pot"], task.config["args"], task.resources.memory_mb) == ("WEB", ["-c", "true"], 256)
    assert (task.kill_timeout_s, task.config["port_map"]) == (10.0, [{"http": 8080}])
    options = ["-output", "-var-file=a.hcl", "-var=images=http://m"]
    assert asked.read_text().splitlines() == ["job", "run", *options, str(FILES / "many.nomad.hcl")]


def test_no_token_of_ours_comes_back_in_the_job(asked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VAULT_TOKEN", "CONSUL_HTTP_TOKEN", "NOMAD_TOKEN", "NOMAD_VAR_images"):
        monkeypatch.setenv(name, "s3cret")

    jobfile.read(FILES / "many.nomad.hcl", {})

    secret = [line for line in (asked.parent / "environment").read_text().splitlines() if "s3cret" in line]
    assert secret == ["NOMAD_VAR_images=s3cret"]


def test_all_that_nomad_finds_wrong_is_told_with_its_place(asked: Path) -> None:
    answer(asked.parent, err=WRONG, status=1)
    file = FILES / "wrong.nomad.hcl"

    with pytest.raises(ConfigError) as error:
        jobfile.read(file, {})

    assert error.value.problems == (
        f'{file}:5:7: Unsupported argument; An argument named "frobnicate" is not expected here.',
        f'{file}:9:23: Unsuitable value type; Unsuitable duration value: time: invalid duration "soon"',
    )


@pytest.mark.parametrize(
    ("out", "err", "status", "words"),
    [
        ("", UNDECLARED, 1, 'many.nomad.hcl: Undefined -var variable; A "prot" variable'),
        ("", "", 1, "many.nomad.hcl: nomad job run -output failed and said nothing"),
        ("", "Error initializing client: bad address", 1, "many.nomad.hcl: Error initializing client: bad address"),
        ("Usage: …", "", 0, "job run -output does not print a job"),
        (json.dumps([]), "", 0, "job run -output does not print a job"),
    ],
)
def test_a_nomad_that_gives_no_job_is_an_error_with_its_words(
    asked: Path, out: str, err: str, status: int, words: str
) -> None:
    answer(asked.parent, out, err, status)

    with pytest.raises(ConfigError, match=words):
        jobfile.read(FILES / "many.nomad.hcl", {})


def test_what_nomad_lets_pass_and_we_do_not_has_its_line(asked: Path) -> None:
    given = json.loads((FILES / "many.json").read_text())
    given["Job"]["TaskGroups"][0]["Tasks"][0]["Driver"] = ""
    answer(asked.parent, json.dumps(given))

    with pytest.raises(ConfigError, match=r'many\.nomad\.hcl:22: task "web": driver must be given'):
        jobfile.read(FILES / "many.nomad.hcl", {})


def test_variables_come_from_files_and_the_environment_without_nomad_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, file = tmp_path / "j.hcl", tmp_path / "v.hcl"
    names = ("a", "b", "c", "d")
    declared = "".join(f'variable "{name}" {{\n default = "default"\n}}\n' for name in names)
    env = "".join(f" {name} = var.{name}\n" for name in names)
    job.write_text(f'{declared}job "j" {{\n task "t" {{\n driver = "pot"\n env {{\n{env} }}\n }}\n}}\n')
    file.write_text('b = "file"\nc = "file"\n')
    for name in ("a", "b", "x"):
        monkeypatch.setenv(f"NOMAD_VAR_{name}", "environment")

    found = jobfile.read(job, {"c": "given"}, [file]).groups[0].tasks[0].env

    assert found == {"a": "environment", "b": "file", "c": "given", "d": "default"}


def test_a_variables_file_that_is_wrong_is_named(tmp_path: Path) -> None:
    job, file = tmp_path / "j.hcl", tmp_path / "v.hcl"
    job.write_text('job "j" {}')
    file.write_text("a = = 1")

    with pytest.raises(ConfigError, match=r"variables file .*v\.hcl: line 1: not HCL"):
        jobfile.read(job, {}, [file])


@pytest.mark.parametrize(
    "plugin",
    [
        {"nomad-pot-driver": {"config": {"timeout_start": "5m"}}},
        [{"nomad-pot-driver": [{"config": [{"timeout_start": "5m"}]}]}],
    ],
)
def test_an_agents_configuration_may_be_json(tmp_path: Path, plugin: object) -> None:
    file = tmp_path / "agent.json"
    file.write_text(json.dumps({"plugin": plugin}))

    assert agentfile.plugin_config(file) == {"timeout_start": "5m"}


def test_an_agents_configuration_without_our_block_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "agent.json"
    file.write_text("{}")

    with pytest.raises(ConfigError, match='has no block plugin "nomad-pot-driver"'):
        agentfile.plugin_config(file)
