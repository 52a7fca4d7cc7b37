"""pot's own configuration: `pot.default.conf`, then `pot.conf`, sourced by the shell.

Plain assignments are read directly; a file that holds more than those is given to a real sh, as pot would.

Not here: the configuration of one pot (`conf`), and the files that `pot-sim init` writes (`__main__`).
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

FILES = ("pot.default.conf", "pot.conf")

DEFAULTS = {
    "POT_ZFS_ROOT": "zroot/pot",
    "POT_GROUP": "pot",
    "POT_MKTEMP_SUFFIX": ".XXXXXXXX",
    "POT_HOSTNAME_MAX_LENGTH": "64",
    "POT_NETWORK": "10.192.0.0/10",
    "POT_NETMASK": "255.192.0.0",
    "POT_GATEWAY": "10.192.0.1",
    "POT_EXTIF": "em0",
    "POT_EXTRA_EXTIF": "",
    "POT_EXTIF_ADDR": "",
    "POT_NETWORK_STACK": "ipv4",
    "POT_DNS_NAME": "dns",
    "POT_DNS_IP": "10.192.0.2",
    "POT_ISOLATE_VNET_POTS": "false",
    "POT_DEFAULT_SIGNATURE_PUBKEY": "",
    "POT_LOG_FACILITY": "local2",
}


def read(etc: str) -> dict[str, str] | None:
    """The settings, or None where the default file is missing (pot's fatal error)."""
    found: dict[str, str] = {}
    for name in FILES:
        try:
            with open(etc + "/" + name, encoding="utf-8", errors="surrogateescape") as file:
                text = file.read()
        except OSError:
            if name == FILES[0]:
                return None
            continue
        plain = _assignments(text)
        found.update(_sourced(etc + "/" + name, found) if plain is None else plain)
    return found


def _assignments(text: str) -> dict[str, str] | None:
    """None if the file needs a shell."""
    found: dict[str, str] = {}
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not equals or not key.isidentifier() or any(mark in value for mark in "$`\\;&|<>(){}*?~"):
            return None
        if value[:1] in ("'", '"') and value[-1:] == value[:1] and value.count(value[0]) == 2:
            value = value[1:-1]
        elif any(mark in value for mark in " \t'\"#"):
            return None
        found[key] = value
    return found


def _sourced(path: str, known: Mapping[str, str]) -> dict[str, str]:
    import subprocess  # noqa: PLC0415 (only for files that are more than assignments)

    done = subprocess.run(
        ["/bin/sh", "-c", 'set -a; . "$1" >/dev/null && env -0', "sh", path],
        env={"PATH": os.defpath, **known},
        stdout=subprocess.PIPE,
        check=False,
    )
    pairs = (entry.partition("=") for entry in os.fsdecode(done.stdout).split("\0"))
    return {key: value for key, _, value in pairs if key.startswith("POT_")}
