"""Twenty mistakes in a job, each with the words by which `pot-driver plan` names option and value."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pot_driver.errors import ConfigError
from pot_driver.operator import jobfile
from pot_driver.operator.plan import plans_of

if TYPE_CHECKING:
    from pathlib import Path

GOOD: dict[str, object] = {"image": "https://pots.example.org/", "pot": "web", "tag": "1.0", "command": "/bin/app"}
WRONG: list[tuple[dict[str, object], list[str]]] = [
    ({"image": None}, ["image", "required"]),
    ({"pot": ""}, ["pot", "empty"]),
    ({"imagee": "x"}, ["imagee", 'did you mean "image"']),
    ({"netwrok_mode": "host"}, ["netwrok_mode", 'did you mean "network_mode"']),
    ({"network_mode": "bridged"}, ["network_mode", "bridged", "public-bridge"]),
    ({"image": "gopher://x"}, ["image", "gopher"]),
    ({"tag": "../1.0"}, ["tag", "../1.0"]),
    ({"pot": "a/b"}, ["pot", "a/b"]),
    ({"port_map": [{"https": 443}]}, ["port_map", "https"]),
    ({"port_map": [{"http": 70000}]}, ["port_map", "70000"]),
    ({"port_map": [{"http": "eighty"}]}, ["port_map", "eighty"]),
    ({"mount": ["/mnt/data"]}, ["mount", "/mnt/data"]),
    ({"copy": ["nonsense"]}, ["copy", "nonsense"]),
    ({"mount": [".:/x:rx"]}, ["mount", "rx"]),
    ({"args": "not a list"}, ["args", "list"]),
    ({"attributes": [{"no_such": "YES"}]}, ["attributes", "no_such"]),
    ({"command": "a 'quote"}, ["command", "quote"]),
    ({"dns": "8.8.8.8"}, ["dns", "8.8.8.8"]),
    ({"args": ["a & b"]}, ["args", "&"]),
    ({"extra_hosts": ["no-colon"]}, ["extra_hosts", "no-colon"]),
]


def told(tmp_path: Path, config: dict[str, object]) -> str:
    task = {"Name": "t", "Driver": "pot", "Config": {k: v for k, v in config.items() if v is not None}}
    network = {"DynamicPorts": [{"Label": "http"}]}
    path = tmp_path / "job.json"
    path.write_text(json.dumps({"ID": "j", "TaskGroups": [{"Name": "g", "Networks": [network], "Tasks": [task]}]}))
    try:
        return "\n".join(problem for one in plans_of(jobfile.read(path, {})) for problem in one.problems)
    except ConfigError as error:
        return str(error)


def test_the_job_without_a_mistake_has_no_problem(tmp_path: Path) -> None:
    assert told(tmp_path, GOOD) == ""


@pytest.mark.parametrize(("mistake", "words"), WRONG, ids=[" ".join(words) for _, words in WRONG])
def test_a_mistake_is_named_with_its_value(tmp_path: Path, mistake: dict[str, object], words: list[str]) -> None:
    problems = told(tmp_path, {**GOOD, **mistake})

    assert all(word in problems for word in words), problems
