"""From what a job needs to the ordered list of pot commands, all of it decided before the first one runs.

The operator's `plan` command prints this list and StartTask runs it. Rooms: `scripts` the files that carry command and
environment, `expected` what pot must have done afterwards.

Not here: running anything, looking at anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pot_driver.config.urls import without_credentials
from pot_driver.plan.expected import Expected, ExpectedMount, differences, hooks_in
from pot_driver.plan.scripts import CHANGE_USER, START, STOP, TaskFile, early_files, task_files
from pot_driver.pot import command
from pot_driver.pot.command import PotStep
from pot_driver.pot.parse import FscompEntry, PotConf
from pot_driver.spec import ImageRef, Mounting, TaskSpec
from pot_driver.spec.names import parts

__all__ = [
    "Expected",
    "ExpectedMount",
    "ImageRef",
    "Plan",
    "TaskFile",
    "build",
    "early_files",
    "refused_hooks",
    "task_files",
    "verify",
]

_PREPARED: Mapping[str, str] = {"persistent": "NO", "no-rc-script": "YES"}  # set by prepare, relied on by all


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a task's pot is made: image, prepare, steps, start."""

    pot_name: str
    image: ImageRef
    prepare: PotStep
    steps: tuple[PotStep, ...]
    start: PotStep
    expect: Expected
    spec: TaskSpec

    @property
    def commands(self) -> tuple[PotStep, ...]:
        """Every pot command, in order."""
        return (self.prepare, *self.steps, self.start)

    @property
    def own_address(self) -> bool:
        """Whether the pot can have an address of its own."""
        return self.spec.network.own_address

    @property
    def programs(self) -> tuple[str, ...]:
        """What the image must have."""
        spec = self.spec
        needed = ["/bin/sh", "/bin/realpath"]
        needed += ["/bin/cp"] if spec.copies else []
        needed += ["/bin/ls"] if any(mounting.checked_inside for mounting in spec.mounts) else []
        return (*needed, *(CHANGE_USER if spec.user else ()))

    @property
    def new_directories(self) -> tuple[str, ...]:
        """What the image must not have: pot copies a directory right only to where there is none."""
        return tuple(copy.destination for copy in self.spec.copies if copy.source.is_directory)

    @property
    def port_map(self) -> Mapping[str, int]:
        """Port label → port inside the pot, for a pot with its own address."""
        return {export.label: export.pot_port for export in self.spec.network.exports} if self.own_address else {}


def build(spec: TaskSpec) -> Plan:
    """The plan of a task."""
    name = spec.pot_name
    sources = _spellings(spec.mounts)
    steps = (
        command.info_valid(name),
        *_attributes(spec),
        *(
            command.copy_in(name, c.source.path, c.destination, f"copy {c.source.path} to {c.destination}")
            for c in spec.copies
        ),
        *(
            command.mount_in(name, source, m.destination, f"mount {m.destination}: {m.reason}", read_only=m.read_only)
            for m, source in zip(spec.mounts, sources, strict=True)
        ),
    )
    if spec.memory_mb is not None or spec.cpus is not None:
        steps += (command.set_rss(name, memory_mb=spec.memory_mb, cpus=spec.cpus),)
    if spec.network.hosts:
        steps += (command.set_hosts(name, spec.network.hosts),)
    return Plan(
        pot_name=name,
        image=spec.image,
        prepare=_prepare(spec),
        steps=steps,
        start=command.start(name),
        expect=_expected(spec, sources),
        spec=spec,
    )


def of_image(plan: Plan, tag: str) -> Plan:
    """The same with the image that this host knows by another tag."""
    if tag == plan.image.tag:
        return plan
    return build(replace(plan.spec, image=replace(plan.spec.image, tag=tag)))


def verify(plan: Plan, conf: PotConf, fscomp: Sequence[FscompEntry]) -> list[str]:
    """What pot's files say, after all steps, that was not asked."""
    return differences(plan.expect, conf, fscomp)


def refused_hooks(plan: Plan, conf_files: Iterable[str]) -> str:
    """Why the pot must not be started, judged by the names of the files in its conf directory; "" when it may."""
    hooks = hooks_in(conf_files)
    if not hooks or plan.spec.allow_image_hooks:
        return ""
    image = plan.image
    return (
        f"image {image.pot} {image.tag} brings {', '.join(hooks)}, which pot would run on the host as root; "
        "this node does not allow that (allow_image_hooks)"
    )


def _prepare(spec: TaskSpec) -> PotStep:
    name, suffix = parts(spec.task.id, spec.task.alloc_id, spec.task.name)
    network = spec.network
    forwarded = network.exports if network.type not in {"inherit", "alias"} else ()
    return command.prepare(
        name=name,
        suffix=suffix,
        url=without_credentials(spec.image.url),  # the image is in pot's cache before it runs
        image=spec.image.pot,
        tag=spec.image.tag,
        command=START,
        exports=[str(export) for export in forwarded],
        network_type=network.type,
        ips=network.ips,
        bridge=network.bridge,
        stack=network.stack,
        dns=network.dns,
        signature_pubkey=spec.image.signature_pubkey,
    )


def _attributes(spec: TaskSpec) -> list[PotStep]:
    name = spec.pot_name
    steps = [command.set_attribute(name, "prunable", "NO", "keep `pot prune` away: the driver reads its end first")]
    steps += [command.set_attribute(name, key, value, f"attribute of the job: {key}") for key, value in spec.attributes]
    if spec.exec_stop is not None:
        steps.append(command.set_attribute(name, "exec_stop", STOP, "run the job's exec_stop when it is stopped"))
    return steps


def _expected(spec: TaskSpec, sources: Sequence[str]) -> Expected:
    exec_stop = {} if spec.exec_stop is None else {"exec_stop": STOP}
    return Expected(
        cmd=START,
        network_type=spec.network.type,
        export_ports=frozenset(str(export) for export in spec.network.exports),
        attributes={**_PREPARED, "prunable": "NO", **dict(spec.attributes), **exec_stop},
        mounts=tuple(
            ExpectedMount(source=source, destination=m.destination, read_only=m.read_only)
            for m, source in zip(spec.mounts, sources, strict=True)
        ),
        memory=None if spec.memory_mb is None else f"{spec.memory_mb}M",
        cpus=None if spec.cpus is None else str(spec.cpus),
        hosts=frozenset(f"{address} {host}" for host, address in spec.network.hosts) or None,
        allowed_attributes=spec.allowed_attributes,
    )


def _spellings(mounts: Sequence[Mounting]) -> list[str]:
    """The host directories, spelled so that pot takes each of them for a new one.

    pot refuses a directory when its name and a blank are found, as a regular expression, anywhere in the lines that it
    has: the same directory twice, one that ends like an earlier one, one that is called like an earlier read-only
    mount point. `/.` at the end is the same directory by another name.
    """
    spelled, lines = [], ""
    for mounting in mounts:
        source = mounting.source.path
        while re.search(re.escape(source).replace(r"\.", ".") + " ", lines):
            source += "/."
        spelled.append(source)
        lines += f"{source} {mounting.destination}{' ro' if mounting.read_only else ''}\n"
    return spelled
