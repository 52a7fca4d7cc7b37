"""`pot-driver doctor`: what the driver finds on this host, as a Nomad client would learn it.

Not here: the finding (the plugin's fingerprint).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pot_driver import __version__
from pot_driver.operator import agentfile, installation
from pot_driver.operator.session import Health, Session

if TYPE_CHECKING:
    from pathlib import Path

    from pot_driver._proto.plugins.shared.structs.proto.attribute_pb2 import Attribute
    from pot_driver.operator.console import Console

# What an operator may want to change.
_WITHOUT = {
    "driver.pot.racct": "no memory limits, no statistics; kern.racct.enable=1 in /boot/loader.conf and a reboot",
    "driver.pot.vnet": "no pot with a network of its own; the kernel has no VIMAGE",
    "driver.pot.signify": "no signed images; install signify",
}


async def look(config: Path | None, console: Console) -> int:
    """Show health and attributes; the status to exit with."""
    pot = installation.find(agentfile.plugin_config(config))
    console.title(f"pot-driver {__version__} looks at {pot.label}")
    async with Session.open(pot, console, healthy=False) as session:
        answer = await session.agent.health()
        for name, attribute in sorted(answer.attributes.items()):
            value = _text(attribute)
            console.note(f"{name} = {value}" + (f": {_WITHOUT[name]}" if value == "false" and name in _WITHOUT else ""))
    return 0 if answer.health == Health.HEALTHY else 1


def _text(attribute: Attribute) -> str:
    kind = attribute.WhichOneof("value")
    value = getattr(attribute, kind) if kind else ""
    return (str(value).lower() if isinstance(value, bool) else str(value)) + attribute.unit
