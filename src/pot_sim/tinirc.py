"""The script that a pot without rc scripts begins with: `/tmp/tinirc` in the pot, read by the pot's own sh.

Byte for byte as pot writes it, with the command as its last line; what its quoting does is the shell's doing.
It has no `#!`: that sh reads it is execvp's last resort. `ifconfig` and `route` are the image's.

Not here: when it is written and run (`launch`).
"""

from __future__ import annotations

import os

from pot_sim import conf, mounts
from pot_sim.shell import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pot_sim.root import Root

INSIDE = "/tmp/tinirc"  # in the pot

_PRECEDENCE = (
    "::1/128\t\t 50\t 0",
    "::/0\t\t 40\t 1",
    "::ffff:0:0/96\t {mapped}\t 4",
    "2002::/16\t 30\t 2",
    "2001::/32\t  5\t 5",
    "fc00::/7\t  3\t13",
    "::/96\t\t  1\t 3",
    "fec0::/10\t  1\t11",
    "3ffe::/16\t  1\t12",
)


def path(root: Root, name: str) -> str:
    return mounts.tmp_directory(root, name) + "/tinirc"


def begin(root: Root, name: str, stack: str) -> None:
    mapped = "100" if stack == "ipv4" else "35"
    table = ["        " + row.format(mapped=mapped) for row in _PRECEDENCE]
    _say(
        conf.write,
        path(root, name),
        [
            "# created automatically by pot, changes will be overwritten",
            "echo $$ >/tmp/tinirc.pid",
            "if sysctl -n kern.features.inet6 >/dev/null 2>&1; then",
            "        ip6addrctl flush >/dev/null 2>&1",
            "        ip6addrctl install /dev/stdin <<EOF",
            *table,
            "EOF",
            "fi",
        ],
    )


def interface(root: Root, name: str, epair: str, setup: Iterable[str]) -> None:
    """Wait a second for the pot's end of an epair, then configure it."""
    _say(
        conf.append,
        path(root, name),
        [
            f"if ! ifconfig {epair} >/dev/null 2>&1; then",
            "    sleep 1",
            f"    if ! ifconfig {epair} >/dev/null 2>&1; then",
            f'        >&2 echo "Interface {epair} does not exist"',
            "        exit 1",
            "    fi",
            "fi",
            *setup,
        ],
    )


def environment(root: Root, name: str, facts: Iterable[str]) -> None:
    """The pot's variables, whose values the shell evaluates, and what pot itself exports."""
    variables = ["export " + value for value in conf.get_lines(root, name, "pot.env")]
    _say(conf.append, path(root, name), [*variables, *facts])


def finish(root: Root, name: str, command: str, *, bridged: bool) -> None:
    loopback = ["ifconfig lo0 inet 127.0.0.1 alias"] if bridged else []
    _say(conf.append, path(root, name), [*loopback, f"exec {command}"])
    if os.path.exists(path(root, name)):
        os.chmod(path(root, name), os.stat(path(root, name)).st_mode | 0o111)


def _say(write: Callable[[str, Iterable[str]], None], file: str, lines: Iterable[str]) -> None:
    """A pot without /tmp is no reason to stop; jexec will not find the script."""
    try:
        write(file, lines)
    except OSError as error:
        complain(f"cannot create {file}: {error.strerror}")
