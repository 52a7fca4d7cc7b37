"""docs/jobs.md has every option as the tables have it, with an example that works."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pot_driver.config import PLUGIN_OPTIONS, TASK_OPTIONS, Block, Option
from pot_driver.operator import jobfile
from pot_driver.operator.plan import plans_of

TEXT = (Path(__file__).parents[2] / "docs" / "jobs.md").read_text()
# What the examples of some options need beside them.
BESIDE = {"ip": 'network_mode = "alias"', "bridge": 'network_mode = "private-bridge"'}
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
    """How many pot commands a job with these lines costs."""
    required = [line for name, line in REQUIRED.items() if not any(own.startswith(f"{name} ") for own in lines)]
    path.write_text(JOB % "\n        ".join((*required, *lines)))
    (one,) = plans_of(jobfile.read(path, {}))
    assert one.plan is not None, one.problems
    return len(one.plan.commands)


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def task_row(option: Option) -> str:
    """The option's line in the documentation."""
    default = "required" if option.required else f"`{option.default}`" if option.default else ""
    cells = [f"`{option.name}`", option.type, default, cell(option.doc), f"`{cell(option.example)}`"]
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


@pytest.mark.parametrize("option", TASK_OPTIONS, ids=lambda option: option.name)
def test_a_tasks_option_is_documented_with_an_example_that_works_and_costs_no_command(tmp_path, option):
    assert "A start takes three pot commands" in TEXT
    assert commands(tmp_path / "job.nomad.hcl", option.example, *filter(None, [BESIDE.get(option.name)])) == 3
    assert task_row(option) in TEXT.splitlines()


@pytest.mark.parametrize(("name", "option"), [*flat(PLUGIN_OPTIONS)], ids=[name for name, _ in flat(PLUGIN_OPTIONS)])
def test_a_plugins_option_is_documented(name, option):
    assert plugin_row(name, option) in TEXT.splitlines()
