"""`pot prepare`: import the image if it is not there, clone it, set its command, attributes and ports.

What fails after the clone is "ignored": the exit status is 0, whatever became of the pot.

Not here: each of these steps (`commands/import_`, `commands/clone`, ...).
"""

from __future__ import annotations

from pot_sim import addresses, ports, pots
from pot_sim.commands import clone
from pot_sim.session import Pot
from pot_sim.shell import Exit

# (attribute, value as prepare passes it, what it says if that fails)
_ATTRIBUTES = (
    ("persistent", "OFF", "Couldn't disable the persistent attribute - ignoring"),
    ("no-rc-script", "ON", "Couldn't enable the no-rc-script attribute - ignoring"),
    ("prunable", "ON", "Couldn't enable the no-rc-script attribute - ignoring"),
    ("localhost-tunnel", "YES", "Couldn't enable the localhost-tunnel attribute - ignoring"),
    ("no-etc-hosts", "YES", "Couldn't disable the enrichment of /etc/hosts - ignoring"),
    ("no-tmpfs", "YES", "Couldn't disable tmpfs for /tmp - ignoring"),
)


class _Asked:
    """The options."""

    def __init__(self, pubkey: str) -> None:
        self.pot = self.url = self.tag = self.command = self.allocation = self.name = ""
        self.kind = self.bridge = self.stack = self.dns = ""
        self.pubkey = pubkey
        self.addresses: list[str] = []
        self.ports: list[str] = []
        self.start = False


def run(pot: Pot, args: list[str]) -> int:
    asked = _parse(pot, args)
    _demand(pot, asked)
    image = f"{asked.pot}_{asked.tag}".replace(".", "_")
    name = f"{asked.name or image}_{asked.allocation}".replace(".", "_")
    if pots.exists(pot.root, name):
        raise Exit(pot.usage_error("prepare", f"A pot with name {name} already exists"))
    _import(pot, asked, image)
    if pot.command("clone", "-P", image, "-p", name, *_clone_options(asked)) != 0:
        pot.error(f"Not able to clone imported pot as {name}")
    _configure(pot, name, asked)
    if not asked.start:
        pot.info(f"Prepared the pot {name}")
        return 0
    pot.debug(f"Auto starting the pot {name}")
    if pot.command("start", name) != 0:
        pot.error(f"pot {name} failed to start")
        pot.command("stop", name)
        raise Exit(1)
    return 0


def _parse(pot: Pot, args: list[str]) -> _Asked:
    asked = _Asked(pot.config["POT_DEFAULT_SIGNATURE_PUBKEY"])
    for option, value in pot.options("prepare", args, "hvp:U:t:c:e:a:n:sN:i:B:S:d:C:"):
        match option:
            case "p":
                asked.pot = value
            case "U":
                asked.url = value
            case "t":
                asked.tag = value
            case "c":
                asked.command = value
            case "a":
                asked.allocation = value
            case "n":
                asked.name = value
            case "e":
                if not ports.valid(value):
                    raise Exit(pot.usage_error("prepare", f"{value} is not a valid port number"))
                asked.ports.append(value)
            case "s":
                asked.start = True
            case "N":
                asked.kind = "inherit" if value == "host" else value
                if asked.kind not in addresses.TYPES:
                    raise Exit(pot.usage_error("prepare", f"Network type {asked.kind} not recognized"))
            case "B":
                asked.bridge = value
            case "i":
                asked.addresses.append(value)
            case "S":
                asked.stack = clone.stack(pot, value)
            case "d":
                asked.dns = clone.dns(pot, value, "prepare", shown="")
            case "C":
                asked.pubkey = value
    return asked


def _demand(pot: Pot, asked: _Asked) -> None:
    problem = ""
    if not asked.pot:
        problem = "A pot name is mandatory"
    elif not asked.tag:
        problem = "A tag is mandatory"
    elif not asked.allocation:
        problem = "An allocation id is mandatory"
    elif asked.kind == "private-bridge" and not asked.bridge:
        problem = "A bridge name has to be provided if private-bridge is selected as network-type"
    if problem:
        raise Exit(pot.usage_error("prepare", problem))


def _import(pot: Pot, asked: _Asked, image: str) -> None:
    if pots.exists(pot.root, image):
        pot.debug(f"pot {image} already imported - reusing it")
        return
    pot.command("import", "-U", asked.url, "-t", asked.tag, "-p", asked.pot, "-C", asked.pubkey)
    if not pots.exists(pot.root, image):
        pot.error("imported pot is weirdly not found after import - cannot proceed")
        pot.command("destroy", "-p", image)
        raise Exit(1)


def _clone_options(asked: _Asked) -> list[str]:
    options: list[str] = []
    if asked.kind:
        options += ["-N", asked.kind]
    if asked.kind == "private-bridge":
        options += ["-B", asked.bridge]
    for address in " ".join(asked.addresses).split():
        options += ["-i", address]
    if asked.stack:
        options += ["-S", asked.stack]
    if asked.dns:
        options += ["-d", asked.dns]
    return " ".join(options).split()


def _configure(pot: Pot, name: str, asked: _Asked) -> None:
    if asked.command and pot.command("set-cmd", "-p", name, "-c", asked.command) != 0:
        pot.error(f"Couldn't set the command {asked.command} ot the pot - ignoring")
    for attribute, value, failure in _ATTRIBUTES:
        if pot.command("set-attribute", "-A", attribute, "-V", value, "-p", name) != 0:
            pot.error(failure)
    if asked.ports:
        reversed_ports = [word for port in reversed(asked.ports) for word in ("-e", port)]
        if pot.command("export-ports", "-p", name, *reversed_ports) != 0:
            pot.error(f"Couldn't export ports {' '.join(asked.ports)} - ignoring")
