"""`pot-driver plan`: which pot commands each task of a job would run, and everything that is wrong with the job.

Nothing is run and the host is not looked at: allocation, dynamic ports, directories and volumes are examples, files are
taken to be there. The way from the job to the commands is StartTask's own.

Not here: reading job files (see `jobfile`), planning (see `spec` and `plan`).
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pot_driver import plan, schema, spec, wire
from pot_driver.config import PLUGIN_OPTIONS, TASK_OPTIONS, PluginConfig, decode_plugin
from pot_driver.config.urls import without_credentials
from pot_driver.errors import ConfigError
from pot_driver.model import Mount, Port, TaskConfig
from pot_driver.operator import agentfile, jobfile
from pot_driver.operator.allocation import Allocation
from pot_driver.operator.hclspec import encode
from pot_driver.operator.job import Group, Job, PortAsk, Task
from pot_driver.plan import Plan, compose

INVALID = 2  # exit status when the job has problems
_ALLOC_ID = "00000000-0000-0000-0000-000000000000"
_ALLOC_ROOT = Path("/var/nomad/alloc")
_VOLUMES = Path("/var/nomad/volumes")
_HOST_IP = "192.0.2.1"
_FIRST_DYNAMIC_PORT = 20000  # of Nomad's range


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPlan:
    """One task's plan, or what is wrong with it."""

    group: str
    task: str
    plan: Plan | None = None
    problems: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the job's author would read in task events."""
        if self.plan is None:
            return ()
        dropped = (f"env: {name} is not a name that a shell can export" for name in self.plan.spec.dropped_env)
        return (*self.plan.spec.warnings, *dropped)


def run(args: argparse.Namespace) -> int:
    """Print the plans of `args.job`, as JSON if `args.json`; the exit status."""
    job = jobfile.read(args.job, dict(args.var), args.var_file)
    left_to_nomad = [*job.needs_nomad, *job.left_to_nomad]
    plans = list(plans_of(job, _plugin(agentfile.plugin_config(args.config))))
    if args.json:
        shown = {"job": job.id, "left_to_nomad": left_to_nomad, "tasks": [_as_json(one) for one in plans]}
        print(json.dumps(shown, indent=2))
    else:
        for left in left_to_nomad:
            print(f"left to Nomad: {left}")
        print("\n\n".join(_as_text(one) for one in plans))
    return INVALID if any(one.problems for one in plans) else 0


def plans_of(job: Job, plugin: PluginConfig | None = None) -> Iterator[TaskPlan]:
    """The plan of each task, under this plugin block or an empty one."""
    plugin = plugin or _plugin({})
    for group in job.groups:
        for task in group.tasks:
            try:
                request = _request(job, group, task)
                planned = plan.build(spec.read(request, plugin, look=False))
            except ConfigError as err:
                yield TaskPlan(group=group.name, task=task.name, problems=err.problems)
            else:
                yield TaskPlan(group=group.name, task=task.name, plan=planned)


def _plugin(config: Mapping[str, object]) -> PluginConfig:
    """The plugin block as the agent sends it and the plugin reads it."""
    try:
        return decode_plugin(encode(schema.spec(PLUGIN_OPTIONS), config))
    except ConfigError as error:
        raise ConfigError([f"plugin block: {problem}" for problem in error.problems]) from error


def _request(job: Job, group: Group, task: Task) -> TaskConfig:
    """What StartTask would get, with ids that are the same each time."""
    allocation = Allocation(
        job=job,
        group=group,
        root=_ALLOC_ROOT,
        host_ip=_HOST_IP,
        ports=_ports(group.ports),
        legacy_ports={task.name: _ports(task.resources.legacy_ports)},
        id=_ALLOC_ID,
    )
    sent = allocation.task_config(task, schema.spec(TASK_OPTIONS))
    mounts = tuple(
        Mount(task_path=one.destination, host_path=f"{_VOLUMES}/{one.volume}", readonly=one.read_only)
        for one in task.volume_mounts
    )
    return replace(wire.task_config(sent), id=f"{_ALLOC_ID}/{task.name}/00000000", mounts=mounts)


def _ports(asked: Sequence[PortAsk]) -> tuple[Port, ...]:
    ports = []
    for number, ask in enumerate(asked, _FIRST_DYNAMIC_PORT):
        value = ask.static or number
        ports.append(Port(label=ask.label, value=value, to=value if ask.to == -1 else ask.to, host_ip=_HOST_IP))
    return tuple(ports)


def _as_json(one: TaskPlan) -> dict[str, object]:
    shown: dict[str, object] = {"group": one.group, "task": one.task, "problems": list(one.problems)}
    if one.plan is not None:
        shown |= {
            "pot": one.plan.pot_name,
            "image": {
                "url": without_credentials(one.plan.image.url),
                "pot": one.plan.image.pot,
                "tag": one.plan.image.tag,
            },
            "commands": [
                {"argv": ["pot", *step.argv], "reason": step.reason, "timeout": step.timeout, "locked": step.locked}
                for step in one.plan.commands
            ],
            "pot_conf": compose.preview(one.plan.spec).pot_conf.splitlines(),
            "fscomp_conf": compose.preview(one.plan.spec).fscomp_conf.splitlines(),
            "command": one.plan.spec.command,
            "ports": dict(one.plan.port_map),
            "notes": list(one.notes),
        }
    return shown


def _as_text(one: TaskPlan) -> str:
    lines = [f'task "{one.task}" of group "{one.group}"']
    lines += [f"  problem: {problem}" for problem in one.problems]
    if one.plan is not None:
        for number, step in enumerate(one.plan.commands, 1):
            lines += [f"  {number:2}. # {step.reason}", f"      pot {shlex.join(step.argv)}"]
        lines += _composed(one.plan)
        lines += [f"  note: {note}" for note in one.notes]
    return "\n".join(lines)


def _composed(plan: Plan) -> Iterator[str]:
    """What the driver writes between the clone and the start."""
    shown = compose.preview(plan.spec)
    for title, text in (("pot.conf", shown.pot_conf), ("fscomp.conf", shown.fscomp_conf)):
        yield f"  {title}, as the driver writes it before the start:"
        yield from (f"      {line}" for line in text.splitlines())
    yield from (f"  copy {copy.source.path} to {copy.destination}" for copy in plan.spec.copies)
    yield f"  the pot's shell runs: {plan.spec.command or 'the command of the image'}"
