"""The fields of a job's API form have their types, or are problems with name and place."""

from __future__ import annotations

import pytest

from pot_driver.errors import ConfigError
from pot_driver.operator import jobfile


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("1m30s", 90), ("1.5h", 5400), ("250ms", 0.25), (5_000_000_000, 5)]
)
def test_durations_are_gos(text: object, seconds: float) -> None:
    task = {"Name": "t", "Driver": "pot", "KillTimeout": text}
    job = jobfile.from_api({"ID": "j", "TaskGroups": [{"Name": "g", "Tasks": [task]}]})

    assert job.groups[0].tasks[0].kill_timeout_s == pytest.approx(seconds)


def test_values_of_a_wrong_type_are_all_named_with_their_place() -> None:
    task = {
        "Name": "t",
        "Driver": "pot",
        "Config": [],
        "Env": {"A": ["x"], "B": None},
        "Leader": "perhaps",
        "KillTimeout": True,
        "Resources": {"MemoryMB": "lots", "Networks": 1},
        "Templates": [{"EmbeddedTmpl": {}, "DestPath": "local/x", "Perms": "rw"}],
    }
    ports = [{"Label": "http", "Value": 1.5}]
    group = {"Name": "g", "Count": "two", "Networks": [{"ReservedPorts": ports}], "Tasks": [task, "t"]}

    with pytest.raises(ConfigError) as error:
        jobfile.from_api({"ID": "j", "Datacenters": "dc1", "TaskGroups": [group]})

    assert error.value.problems == (
        'group "g": count: "two" is not a whole number',
        'group "g": tasks: "t" is not a block',
        'group "g": port "http": static: 1.5 is not a whole number',
        'task "t": config: [] is not a block',
        """task "t": env.A: ['x'] is not a string""",
        'task "t": template "local/x": data: {} is not a string',
        'task "t": template "local/x": perms: "rw" is not a mode such as "0644"',
        'task "t": resources: networks: 1 is not a list',
        'task "t": resources: memory: "lots" is not a whole number',
        'task "t": kill_timeout: true is not a duration like "30s" or "1m30s"',
        'task "t": leader: "perhaps" is not true or false',
        'job: datacenters: "dc1" is not a list',
    )
