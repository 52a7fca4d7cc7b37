"""`pot mount-out`: unmounts in a running pot; a directory's line stays in fscomp.conf.

For it is stored without the path of the pot that is looked for.

Not here: mounting (`mounts`).
"""

from __future__ import annotations

import os

from pot_sim import conf, mounted, mounts, pots, syslog
from pot_sim.session import Pot
from pot_sim.shell import complain


def run(pot: Pot, args: list[str]) -> int:
    syslog.log(pot.root, "local0.debug", f"mount-out: {' '.join(args)}")
    given = dict(pot.options("mount-out", args, "hvp:m:"))
    name = given.get("p", "")
    mountpoint = given.get("m", "")
    if not name:
        return pot.usage_error("mount-out", "A pot name is mandatory")
    if not mountpoint:
        return pot.usage_error("mount-out", "A mount point is mandatory")
    if not mountpoint.startswith("/"):
        pot.error("The mount point has to be an absolute pathname")
        return 1
    if mountpoint == "/":
        pot.error("/ is not a valid mount point")
        return 1
    if not pots.check(pot, name):
        return pot.usage_error("mount-out", f"pot {name} is not valid")
    if not pot.is_root():
        return 1
    return _remove(pot, name, mountpoint)


def _remove(pot: Pot, name: str, mountpoint: str) -> int:
    found, mounted = _resolve(pot, name, mountpoint)
    if not mounted:
        pot.echo(f"###>  Pot {name} failed to mount")
    elif not _used(pot, name, found):
        pot.echo(f"###>  The mount point {mountpoint} is not in use")
        mounted = False
    if not mounted:
        pot.error("The mountpoint is not valid!")
        return 1
    target = f"{pot.root.m(name)}/{found.removeprefix('/')}"
    pot.debug(f"umount_mnt_p: mnt_p:{target}")
    conf.edit(
        conf.fscomp_path(pot.root, name),
        lambda line: None if line.endswith(" " + target) or f" {target} " in line else line,
    )
    if pots.is_running(pot.root, name):
        _unmount(pot, name, found, target)
    return 0


def _unmount(pot: Pot, name: str, inside: str, target: str) -> None:
    short = inside.removeprefix("/")
    if not mounted.drop(pot.root, name, target):
        pot.debug(f"{target} is already unmounted")
    else:
        pot.debug(f"unmount {target}")
        try:
            mounts.detach(pot.root, name, inside)
        except OSError as error:
            complain(f"umount: {target}: {error.strerror}")
            pot.error(f"Error umounting {short} on {name}")
            return
    pot.debug(f"Umounted {short} on {name}")


def _resolve(pot: Pot, name: str, mountpoint: str) -> tuple[str, bool]:
    """The pot's own realpath of it, empty if it has none; and whether the pot could be mounted."""
    reading, writing = os.pipe()
    mounted = True
    if pots.is_running(pot.root, name):
        from pot_sim import jail  # noqa: PLC0415

        jail.attach(pot.root, name, ["/bin/realpath", mountpoint], env=dict(os.environ), stdout=writing).wait()
    else:
        pot.mute(on=True)
        mounted = mounts.around(pot, name, lambda: _realpath(pot, name, mountpoint, writing)) is not None
        mounts.unmounted(pot, name)
        pot.mute(on=False)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8", errors="surrogateescape") as answer:
        return answer.read().rstrip("\n"), mounted


def _realpath(pot: Pot, name: str, mountpoint: str, answer: int) -> int:
    os.dup2(answer, 1)
    try:
        mounts.in_pot(pot, name, ["/bin/realpath", mountpoint])
    except OSError as error:
        complain(f"chroot: /bin/realpath: {error.strerror}")
    return 0


def _used(pot: Pot, name: str, mountpoint: str) -> bool:
    lines = conf.lines(conf.fscomp_path(pot.root, name))
    return any(line.endswith(" " + mountpoint) or f" {mountpoint} " in line for line in lines)
