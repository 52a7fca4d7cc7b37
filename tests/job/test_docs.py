"""docs/jobs.md has every option as the tables have it, with its cost in pot commands and an example that works."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pot_driver import plan
from pot_driver.config import PLUGIN_OPTIONS, TASK_OPTIONS, Block, Option
from pot_driver.model import Mount, Port, Resources
from pot_driver.operator import jobfile
from pot_driver.operator.plan import plans_of

TEXT = (Path(__file__).parents[2] / "docs" / "jobs.md").read_text()
EIGHT = 8
# What the examples of some options need beside them.
BESIDE = {"ip": 'network_mode = "alias"', "bridge": 'network_mode = "private-bridge"'}
# Where each entry of a list is a command of its own, the others cost the same whatever is in them.
EACH = {"copy", "mount", "mount_read_only", "attributes"}
JOB = """
job "j" {
  group "g" {
    network {
      port "http" {}
      port "dns" {}
    }
    task "t" {
      driver = "pot"
      config {
        %s
      }
      resources {
        memory = 64
      }
    }
  }
}
"""
REQUIRED = {option.name: option.example for option in TASK_OPTIONS if option.required} | {"command": 'command = "x"'}


def commands(path: Path, *lines: str) -> int:
    """How many pot commands a job with these lines costs beyond the eight."""
    required = [line for name, line in REQUIRED.items() if not any(own.startswith(f"{name} ") for own in lines)]
    path.write_text(JOB % "\n        ".join((*required, *lines)))
    (one,) = plans_of(jobfile.read(path, {}))
    assert one.plan is not None, one.problems
    return len(one.plan.commands) - EIGHT


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def task_row(option: Option, path: Path) -> str:
    """The option's line in the documentation."""
    beside = [BESIDE[option.name]] if option.name in BESIDE else []
    cost = commands(path, option.example, *beside)
    entries = option.example.count('"') // 2 if option.name in EACH else 1
    each = f"{cost // entries} each" if option.name in EACH else str(cost)
    default = "required" if option.required else f"`{option.default}`" if option.default else ""
    cells = [f"`{option.name}`", option.type, default, each, cell(option.doc), f"`{cell(option.example)}`"]
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def plugin_row(name: str, option: Option) -> str:
    """The option's line in the documentation."""
    default = f"`{option.default}`" if option.default else ""
    return f"| `{name}` | {option.type} | {default} | {cell(option.doc)} |".replace("|  |", "| |")


def flat(table: tuple[Option | Block, ...], where: str = "") -> Iterator[tuple[str, Option]]:
    for entry in table:
        if isinstance(entry, Block):
            yield from flat(entry.options, f"{where}{entry.name}.")
        else:
            yield f"{where}{entry.name}", entry


def test_the_shortest_job_takes_eight_commands(tmp_path):
    assert "It takes eight pot commands" in TEXT
    assert commands(tmp_path / "job.nomad.hcl") == 0


@pytest.mark.parametrize("option", TASK_OPTIONS, ids=lambda option: option.name)
def test_a_tasks_option_is_documented_with_its_cost_and_an_example_that_works(tmp_path, option):
    assert task_row(option, tmp_path / "job.nomad.hcl") in TEXT.splitlines()


@pytest.mark.parametrize(("name", "option"), [*flat(PLUGIN_OPTIONS)], ids=[name for name, _ in flat(PLUGIN_OPTIONS)])
def test_a_plugins_option_is_documented(name, option):
    assert plugin_row(name, option) in TEXT.splitlines()


def test_what_other_blocks_cost_is_documented(job):
    def cost(**task: object) -> int:
        job.task = {"resources": Resources(memory_mb=64), **task}
        return len(plan.build(job.spec(look=False)).commands) - EIGHT

    def with_resources(**more: object) -> int:
        return cost(resources=Resources(**{"memory_mb": 64, "ports": (Port(label="http", value=12000),), **more}))

    assert with_resources() == 0
    assert with_resources(memory_max_mb=128) == 0
    assert with_resources(memory_max_mb=-1) == -1
    assert with_resources(cpuset_cpus="0,1") == 0
    assert cost(user="www") == 0
    assert cost(mounts=(Mount(task_path="/db", host_path="/x"),)) == 1
