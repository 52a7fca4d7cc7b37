"""`pot mount-in`: adds a line to fscomp.conf and, if the pot runs, mounts at once.

Not here: mounting (`mounts`).
"""

from __future__ import annotations

import os

from pot_sim import conf, mounted, mounts, pots, syslog, zfs
from pot_sim.session import Pot
from pot_sim.shell import complain

_NO_MOUNTPOINT = 253  # of the child in which the mount point is looked for: mkdir failed


class _Asked:
    """The options."""

    def __init__(self, given: dict[str, str]) -> None:
        self.pot, self.fscomp, self.dataset, self.mountpoint = (given.get(letter, "") for letter in "pfzm")
        self.directory = given.get("d", "").removesuffix("/")
        self.remount, self.readonly = "w" in given, "r" in given


def run(pot: Pot, args: list[str]) -> int:
    syslog.log(pot.root, "local0.debug", f"mount-in: {' '.join(args)}")
    asked = _Asked(dict(pot.options("mount-in", args, "hvf:d:z:p:m:wr")))
    for complete in (_sources_agree, _mountpoint_is_fit, _source_exists):
        if not complete(pot, asked):
            return 1
    if not pots.check(pot, asked.pot):
        return pot.usage_error("mount-in", f"pot {asked.pot} is not valid")
    if not pot.is_root():
        return 1
    inside, problem = _resolve(pot, asked)
    if inside is None:
        pot.echo(problem)
        pot.error("The mountpoint is not valid!")
        return 1
    _add(pot, asked, "/" + inside.removeprefix("/"))
    return 0


def _sources_agree(pot: Pot, asked: _Asked) -> bool:
    problem = ""
    if not asked.pot:
        problem = "A pot name is mandatory"
    elif not (asked.fscomp or asked.directory or asked.dataset):
        problem = "One of -f|-d|-z option has to be used"
    elif asked.fscomp and asked.directory:
        problem = "-f and -d options are mutually exclusive"
    elif asked.fscomp and asked.dataset:
        problem = "-f and -z options are mutually exclusive"
    elif asked.directory and asked.dataset:
        problem = "-d and -z options are mutually exclusive"
    elif not asked.mountpoint:
        problem = "A mount point is mandatory"
    if problem:
        pot.usage_error("mount-in", problem)
    return not problem


def _mountpoint_is_fit(pot: Pot, asked: _Asked) -> bool:
    """Only the literal `/` is refused; what realpath makes of the rest is another matter."""
    problem = ""
    if any(mark.isspace() for mark in asked.mountpoint):
        problem = "The mountpoint cannot contain spaces"
    elif not asked.mountpoint.startswith("/"):
        problem = "The mount point has to be an absolute pathname"
    elif asked.mountpoint == "/":
        problem = "/ is not a valid mount point"
    if problem:
        pot.error(problem)
    elif asked.remount and asked.directory:
        problem = "Remount cannot be used with directories, but with fscomp only"
        pot.usage_error("mount-in", problem)
    elif asked.remount and asked.readonly:
        pot.info("Readonly and remount are mutually exclusive: readonly considered, remount ignored")
        asked.remount = False
    return not problem


def _source_exists(pot: Pot, asked: _Asked) -> bool:
    problem = ""
    if asked.fscomp and not zfs.exists(pot.root, f"fscomp/{asked.fscomp}"):
        pot.not_found(f"fscomp {asked.fscomp} not found")
        problem = f"fscomp {asked.fscomp} is not valid"
    elif asked.dataset and not zfs.exists(pot.root, asked.dataset.removeprefix(pot.config["POT_ZFS_ROOT"] + "/")):
        problem = f"dataset {asked.dataset} is not valid"
    elif asked.directory and not os.path.isdir(asked.directory):
        problem = f"{asked.directory} is not a directory"
    if problem:
        pot.usage_error("mount-in", problem)
    elif asked.directory:
        return _directory_is_new(pot, asked)
    return not problem


def _directory_is_new(pot: Pot, asked: _Asked) -> bool:
    """As grep finds the directory and a blank: also where a used one, or a mount point with an option, ends like it."""
    import re  # noqa: PLC0415

    if not asked.directory.startswith("/"):
        asked.directory = os.path.realpath(asked.directory)
    file = conf.fscomp_path(pot.root, asked.pot)
    if not os.path.exists(file):
        complain(f"grep: {file}: No such file or directory")
    try:
        used = any(re.search(asked.directory + " ", line) for line in conf.lines(file))
    except re.error:
        used = any(asked.directory + " " in line for line in conf.lines(file))
    if used or asked.directory.endswith(pot.root.jail(asked.pot)):
        pot.error(f"Directory {asked.directory} not valid, already used or already part of the pot")
        return False
    return True


def _resolve(pot: Pot, asked: _Asked) -> tuple[str | None, str]:
    """The mount point as the pot's own realpath sees it (empty without one), or None and what to say."""
    absolute = f" {pot.root.m(asked.pot)}/{asked.mountpoint.removeprefix('/')}"
    lines = conf.lines(conf.fscomp_path(pot.root, asked.pot))
    if any(line.endswith(absolute) or f"{absolute} " in line for line in lines):
        return None, f"###>  The mount point {asked.mountpoint} is already in use"
    reading, writing = os.pipe()
    status: int | None
    if pots.is_running(pot.root, asked.pot):
        status = _in_running(pot, asked, writing)
    else:
        pot.mute(on=True)
        status = mounts.around(pot, asked.pot, lambda: _make_and_resolve(pot, asked, writing))
        mounts.unmounted(pot, asked.pot)
        pot.mute(on=False)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8", errors="surrogateescape") as answer:
        found = answer.read().rstrip("\n")
    if status is None:
        return None, f"###>  Pot {asked.pot} failed to mount"
    if status == _NO_MOUNTPOINT:
        return None, ""
    return found, ""


def _make_and_resolve(pot: Pot, asked: _Asked, answer: int) -> int:
    """In the child in which all is mounted, seen from the host: so an absolute link leads out of the pot."""
    place = pot.root.m(asked.pot) + "/" + asked.mountpoint
    if not os.path.isdir(place):
        try:
            os.makedirs(place)
        except OSError as error:
            complain(f"mkdir: {error.filename}: {error.strerror}")
            return _NO_MOUNTPOINT
    os.dup2(answer, 1)
    try:
        mounts.in_pot(pot, asked.pot, ["/bin/realpath", asked.mountpoint])
    except OSError as error:
        complain(f"chroot: /bin/realpath: {error.strerror}")
    return 0


def _in_running(pot: Pot, asked: _Asked, answer: int) -> int:
    """The same in a running pot, whose mounts are its own."""
    from pot_sim import jail  # noqa: PLC0415

    for command in (["/bin/mkdir", "-p", asked.mountpoint], ["/bin/realpath", asked.mountpoint]):
        output = answer if command[0].endswith("realpath") else None
        try:
            status = jail.attach(pot.root, asked.pot, command, env=dict(os.environ), stdout=output).wait()
        except jail.JailError as error:
            complain(str(error))
            status = 1
        if status and command[0].endswith("mkdir"):
            return _NO_MOUNTPOINT
    return 0


def _add(pot: Pot, asked: _Asked, inside: str) -> None:
    option = "ro" if asked.readonly else mounts.REMOUNT if asked.remount else ""
    root, name = pot.root, asked.pot
    if asked.directory:
        source, place, target = asked.directory, asked.directory, inside
        pot.debug(f"add directory:{source} mnt_p:{inside} opt:{option}")
    else:
        source = asked.dataset or f"{pot.config['POT_ZFS_ROOT']}/fscomp/{asked.fscomp}"
        place = source.replace(pot.config["POT_ZFS_ROOT"], root.fs, 1)
        target = root.m(name) + inside
        pot.debug(f"mount zfs dataset:{source} mnt_p:{target} opt:{option}")
    conf.append(conf.fscomp_path(root, name), [" ".join(filter(None, (source, target, option)))])
    if not pots.is_running(root, name):
        return
    try:
        mounts.attach(root, name, place, inside, readonly=asked.readonly)
    except OSError as error:
        complain(f"mount_nullfs: {place}: {error.strerror}")
        pot.error(f"Error mounting {place} on {name}")
    else:
        mounted.note(root, name, root.m(name) + inside)
        if option != mounts.REMOUNT:
            pot.debug(f"Mounted {place} on {name}")
