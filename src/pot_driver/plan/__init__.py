"""From what a job needs to the pot commands and files that make it, all of it decided before the first one runs.

The operator's `plan` command prints them and StartTask carries them out. Rooms: `compose` the pot's configuration,
`scripts` the files that carry command and environment.

Not here: running anything, looking at anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pot_driver.config.urls import without_credentials
from pot_driver.plan.scripts import CHANGE_USER, TaskFile, task_files
from pot_driver.pot import command
from pot_driver.pot.command import PotStep
from pot_driver.pot.layout import image_pot
from pot_driver.spec import ImageRef, TaskSpec

__all__ = ["ImageRef", "Plan", "TaskFile", "build", "task_files"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a task's pot is made: its image imported, once for all tasks; cloned; configured; started."""

    pot_name: str
    image: ImageRef
    import_image: PotStep
    clone: PotStep
    start: PotStep
    spec: TaskSpec

    @property
    def image_pot(self) -> str:
        """The pot that the image is imported as."""
        return image_pot(self.image.pot, self.image.tag)

    def import_from(self, url: str) -> PotStep:
        """The import of the same image from elsewhere, such as pot's own cache."""
        return _import(self.image, url)

    @property
    def commands(self) -> tuple[PotStep, ...]:
        """Every pot command, in order."""
        return (self.import_image, self.clone, self.start)

    @property
    def own_address(self) -> bool:
        """Whether the pot can have an address of its own."""
        return self.spec.network.own_address

    @property
    def programs(self) -> tuple[str, ...]:
        """What the image must have."""
        return ("/bin/sh", *(CHANGE_USER if self.spec.user else ()))

    @property
    def port_map(self) -> Mapping[str, int]:
        """Port label → port inside the pot, for a pot with its own address."""
        return {export.label: export.pot_port for export in self.spec.network.exports} if self.own_address else {}


def build(spec: TaskSpec) -> Plan:
    """The plan of a task."""
    image, network = spec.image, spec.network
    return Plan(
        pot_name=spec.pot_name,
        image=image,
        import_image=_import(image, without_credentials(image.url)),
        clone=command.clone(
            spec.pot_name,
            image_pot(image.pot, image.tag),
            network_type=network.type,
            ips=network.ips,
            bridge=network.bridge,
            stack=network.stack,
            dns="off" if network.dns == "custom" else network.dns,  # the driver writes the file
        ),
        start=command.start(spec.pot_name),
        spec=spec,
    )


def of_image(plan: Plan, tag: str) -> Plan:
    """The same with the image that this host knows by another tag."""
    if tag == plan.image.tag:
        return plan
    return build(replace(plan.spec, image=replace(plan.spec.image, tag=tag)))


def _import(image: ImageRef, url: str) -> PotStep:
    return command.import_image(url, image.pot, image.tag, signature_pubkey=image.signature_pubkey)
