"""The attributes of a pot: which there are, of which kind, and what they become at jail(8).

Not here: setting and getting them (`commands/set_attribute`, `commands/get_attribute`).
"""

from __future__ import annotations

import os

from pot_sim import conf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pot_sim.root import Root

OF_POT = (
    "start-at-boot",
    "early-start-at-boot",
    "persistent",
    "no-rc-script",
    "prunable",
    "localhost-tunnel",
    "no-tmpfs",
    "no-etc-hosts",
)
READ_ONLY = ("to-be-pruned",)

# name: (kind, default, jail(8)'s parameter)
OF_JAIL = {
    "enforce_statfs": ("uint", "2", "enforce_statfs"),
    "mount": ("bool", "NO", "allow.mount"),
    "fdescfs": ("bool", "NO", "mount.fdescfs"),
    "linprocfs": ("bool", "NO", "allow.mount.linprocfs"),
    "nullfs": ("bool", "NO", "allow.mount.nullfs"),
    "procfs": ("bool", "NO", "mount.procfs"),
    "tmpfs": ("bool", "NO", "allow.mount.tmpfs"),
    "zfs": ("bool", "NO", "allow.mount.zfs"),
    "raw_sockets": ("bool", "NO", "allow.raw_sockets"),
    "sysvshm": ("sysvopt", "new", "sysvshm"),
    "sysvsem": ("sysvopt", "new", "sysvsem"),
    "sysvmsg": ("sysvopt", "new", "sysvmsg"),
    "children": ("uint", "0", "children.max"),
    "mlock": ("bool", "NO", "allow.mlock"),
    "devfs_ruleset": ("uint", "4", "devfs_ruleset"),
    "exec_stop": ("string", "", "exec.stop"),
    "stop_timeout": ("uint", "10", "stop.timeout"),
}

_NEW = {"no-rc-script": "NO", "persistent": "YES", "start-at-boot": "NO", "prunable": "NO", "no-tmpfs": "NO"}

_ALWAYS = (
    "allow.set_hostname=false",
    "allow.raw_sockets",
    "allow.socket_af",
    "allow.chflags",
    "exec.clean",
    "mount.devfs",
)


def settable() -> list[str]:
    return sorted((*OF_POT, *OF_JAIL))


def gettable() -> list[str]:
    return sorted((*OF_POT, *READ_ONLY, *OF_JAIL))


def of_new_pot() -> list[str]:
    """The lines that a new pot's configuration begins with."""
    lines = [f"pot.attr.{name}={value}" for name, value in _NEW.items()]
    return [*lines, *(f"pot.attr.{name}={default}" for name, (_, default, _) in OF_JAIL.items())]


def boolean(value: str) -> str:
    """YES, NO, or empty for what pot does not take as a truth value."""
    return {"yes": "YES", "true": "YES", "on": "YES", "no": "NO", "false": "NO", "off": "NO"}.get(value.lower(), "")


def jail_params(root: Root, name: str) -> list[str]:
    """The parameters of `jail -c` that come from the pot's configuration, but for its network and persistence."""
    params = list(_ALWAYS)
    for attribute, (kind, default, parameter) in OF_JAIL.items():
        read = conf.get_string if kind == "string" else conf.get
        value = read(root, name, f"pot.attr.{attribute}")
        if kind == "bool":
            params += [parameter] if value == "YES" else []
        elif value:
            params.append(f"{parameter}={value}")
        elif kind == "sysvopt":
            params.append(f"{parameter}={default}")
    params.append(f"name={name}")
    params.append(f"host.hostname={conf.get(root, name, 'host.hostname')}")
    params.append(f"osrelease={_release(root, name)}")
    params.append(f"path={root.m(name)}")
    return params


def _release(root: Root, name: str) -> str:
    """What the image's own freebsd-version says, which is read but not run; without one, pot.conf's."""
    script = root.m(name) + "/bin/freebsd-version"
    if not os.access(script, os.R_OK):
        return conf.get(root, name, "osrelease")
    found = [line.split("=") for line in conf.lines(script) if line.startswith("USERLAND")]
    return "\n".join(parts[1] if len(parts) > 1 else parts[0] for parts in found).replace('"', "")


def as_mapping(params: list[str]) -> dict[str, str]:
    pairs = (each.partition("=") for each in params)
    return {key: value or "1" for key, _, value in pairs}


def limits(root: Root, name: str) -> tuple[int | None, int | None]:
    """Bytes beyond which a rule of rctl kills, and number of CPUs. pot.rss.memory denies nothing: FreeBSD pages."""
    from pot_sim import faults  # noqa: PLC0415
    from pot_sim import limits as rules  # noqa: PLC0415

    cpus = conf.get(root, name, "pot.rss.cpus")
    memory = None if faults.on(root, "racct") else rules.killing_above(root, name)
    return memory, min(int(cpus), os.cpu_count() or 1) if cpus else None
