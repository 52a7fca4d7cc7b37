"""docs/jobs.md has every option, with its type, its default and its cost in pot commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from pot_driver import plan
from pot_driver.config import PLUGIN_OPTIONS, TASK_OPTIONS, Block
from pot_driver.model import Mount, Port, Resources

TEXT = (Path(__file__).parents[2] / "docs" / "jobs.md").read_text()
JOBS, _, NODES = TEXT.partition("## The agent's `plugin` block")


def rows(text: str, columns: int) -> dict[str, list[str]]:
    """The rows of tables of that width, by what stands in backquotes in their first cell."""
    found = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines()]
    return {cells[0].strip("`"): cells for cells in found if len(cells) == columns and cells[0].startswith("`")}


EIGHT = 8
# An entry of each option, with what it needs beside it.
WRITTEN: dict[str, dict[str, object]] = {
    "image": {"image": "file:///images"},
    "pot": {"pot": "other"},
    "tag": {"tag": "2"},
    "command": {"command": "x"},
    "args": {"args": ["a", "b"]},
    "args_mode": {"args_mode": "exec"},
    "network_mode": {"network_mode": "host"},
    "network_stack": {"network_stack": "dual"},
    "ip": {"network_mode": "alias", "ip": ["10.0.0.5"]},
    "bridge": {"network_mode": "private-bridge", "bridge": "b"},
    "port_map": {"port_map": [{"http": "80"}]},
    "ports": {"ports": ["http"]},
    "dns": {"dns": "pot"},
    "hostname": {"hostname": "web1"},
    "extra_hosts": {"extra_hosts": ["a:10.0.0.1", "b:10.0.0.2"]},
    "copy": {"copy": ["local/a:/a", "local/b:/b"]},
    "mount": {"mount": ["local/a:/a", "local/b:/b"]},
    "mount_read_only": {"mount_read_only": ["local/a:/a", "local/b:/b"]},
    "attributes": {"attributes": ["children:1", "mlock:yes"]},
    "exec_stop": {"exec_stop": "x"},
    "signature_pubkey": {"signature_pubkey": "local/a.pub"},
}


def flat(table, where=""):
    for entry in table:
        if isinstance(entry, Block):
            yield from flat(entry.options, f"{where}{entry.name}.")
        else:
            yield f"{where}{entry.name}", entry


def commands(job, **config: object) -> int:
    job.config = {**job.config, **config}
    return len(plan.build(job.spec(look=False)).commands)


@pytest.fixture
def eight(job):
    """The job of which the documentation says that it takes eight commands."""
    return job.task_with(resources=Resources(memory_mb=64, ports=(Port(label="http", value=12000),)))


def test_the_shortest_job_takes_eight_commands(eight):
    assert "It takes eight pot commands" in TEXT
    assert commands(eight, port_map=[{"http": "80"}]) == EIGHT


@pytest.mark.parametrize("option", TASK_OPTIONS, ids=lambda option: option.name)
def test_an_options_row_tells_type_default_and_cost(eight, option):
    name, kind, default, cost, _ = rows(JOBS, 5)[option.name]
    added = commands(eight, **WRITTEN[option.name]) - EIGHT
    entries = len(WRITTEN[option.name][option.name]) if cost.endswith("each") else 1

    assert (name, kind) == (f"`{option.name}`", option.type)
    assert default == "required" if option.required else True
    assert option.default is None or default == f"`{option.default}`"
    assert added == int(cost.split()[0]) * entries


@pytest.mark.parametrize(("name", "option"), [*flat(PLUGIN_OPTIONS)], ids=[name for name, _ in flat(PLUGIN_OPTIONS)])
def test_a_plugin_options_row_tells_type_and_default(name, option):
    _, kind, default, _ = rows(NODES, 4)[name]

    assert kind == option.type
    assert option.default is None or default == f"`{option.default}`"


def test_what_other_blocks_cost_is_told(eight):
    limits = {"memory_mb": 64, "ports": eight.task["resources"].ports}

    def with_resources(**more: object) -> int:
        return commands(eight.task_with(resources=Resources(**{**limits, **more})))

    assert with_resources() == EIGHT
    assert with_resources(memory_max_mb=128) == EIGHT
    assert with_resources(memory_max_mb=-1) == EIGHT - 1
    assert with_resources(cpuset_cpus="0,1") == EIGHT
    assert commands(eight.task_with(user="www")) == EIGHT
    assert commands(eight.task_with(mounts=(Mount(task_path="/db", host_path="/x"),))) == EIGHT + 1
