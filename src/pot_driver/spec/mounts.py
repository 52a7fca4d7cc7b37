"""What is mounted in the pot and copied into it: the task's own directories, Nomad's volumes, the job's wishes.

Not here: where a host path leads (see `paths`), how pot is told (see `plan`).
"""

from __future__ import annotations

import posixpath
import re

from pot_driver.config.checks import shown
from pot_driver.spec import paths
from pot_driver.spec.draft import Draft
from pot_driver.spec.values import Copy, HostPath, Mounting

# pot keeps its mounts as words of a line, looks for them with a regular expression, and is a shell script.
_UNMOUNTABLE = re.compile(r"""[\s\\*?\[\]^$'"`;&|<>()]""")
_SCRIPTS = "/.pot-driver"
_REWRITTEN = {
    "/etc/hosts": "pot writes it at each start: use extra_hosts",
    "/etc/resolv.conf": "pot writes it at each start: use dns",
}


def mounts(draft: Draft) -> tuple[Mounting, ...]:
    """All mounts, outer ones before those inside them."""
    found = [*_own(draft), *_volumes(draft), *_asked(draft)]
    taken: dict[str, Mounting] = {}
    for mounting in found:
        inside, source = mounting.destination, mounting.source.path
        other = taken.setdefault(inside, mounting)
        if other is not mounting:
            draft.wrong(mounting.option, f"{shown(inside)} is used twice: {other.reason}, and {mounting.reason}")
        if _UNMOUNTABLE.search(source):
            cause = f" because of the task's name {shown(draft.task.name)}" if mounting.option == "task" else ""
            draft.wrong(
                mounting.option,
                f"pot cannot mount the host directory {shown(source)}: its path has a blank, a quote "
                f"or one of \\*?[]^$`;&|<>(){cause}",
            )
    return tuple(sorted(found, key=lambda mounting: mounting.destination.count("/")))


def copies(draft: Draft, mounted: tuple[Mounting, ...]) -> tuple[Copy, ...]:
    """All copies, in the job's order."""
    return tuple(copy for text in draft.options.copy if (copy := _copy(draft, text, mounted)))


def _own(draft: Draft) -> list[Mounting]:
    task = draft.task
    directories = (
        (task.local_dir, "/local", "the task's own directory"),
        (task.secrets_dir, "/secrets", "the task's secrets"),
        (task.shared_dir, "/alloc", "what the tasks of the group share"),
    )
    return [
        Mounting(
            source=paths.own_directory(draft, path), destination=inside, read_only=False, option="task", reason=text
        )
        for path, inside, text in directories
    ]


def _volumes(draft: Draft) -> list[Mounting]:
    for device in draft.task.devices:
        draft.wrong(
            "device",
            f"{shown(device.host_path)} cannot be given to a pot: pot has no way to pass single devices; "
            'a devfs ruleset of the host can, with attributes = ["devfs_ruleset:N"]',
        )
    found = []
    for volume in draft.task.mounts:
        inside = _destination(draft, "volume_mount", volume.task_path, volume.task_path)
        if inside is not None:
            source = paths.trusted(draft, "volume_mount", volume.host_path)
            found.append(
                Mounting(
                    source=source,
                    destination=inside,
                    read_only=volume.readonly,
                    option="volume_mount",
                    reason="a volume of the group",
                )
            )
    return found


def _asked(draft: Draft) -> list[Mounting]:
    options = draft.options
    asked = [("mount", text, False) for text in options.mount]
    asked += [("mount_read_only", text, True) for text in options.mount_read_only]
    return [m for option, text, read_only in asked if (m := _mounting(draft, option, text, read_only=read_only))]


def _mounting(draft: Draft, option: str, text: str, *, read_only: bool) -> Mounting | None:
    source, *rest = text.split(":")
    mode = rest.pop() if len(rest) == 2 and rest[1] in {"ro", "rw"} else None  # noqa: PLR2004 - SOURCE:DESTINATION:MODE
    if len(rest) != 1 or not source or not rest[0]:
        draft.wrong(option, f'{shown(text)} is not "SOURCE:DESTINATION", with ":ro" or ":rw" if wanted')
        return None
    if mode == "rw" and read_only:
        draft.wrong(option, f"{shown(text)} says :rw: use mount for that")
    inside = _destination(draft, option, text, rest[0])
    if inside is None:
        return None
    before = len(draft.problems)
    found = paths.resolve(draft, option, source, directory=True)
    if len(draft.problems) == before and (why := _unmountable(draft, found)):
        draft.wrong(option, f"{shown(text)}: {why}")
    return Mounting(
        source=found,
        destination=inside,
        read_only=read_only or mode == "ro",
        option=option,
        reason=f"the job's {option} {shown(text)}",
    )


def _unmountable(draft: Draft, found: HostPath) -> str:
    return "pot cannot mount the host's root directory" if found.path == "/" else paths.unmountable(draft, found)


def _destination(draft: Draft, option: str, text: str, path: str) -> str | None:
    """The normal spelling of a mount point: pot refuses only the plainest spelling of the root."""
    if not path.startswith("/") or ".." in path.split("/"):
        draft.wrong(option, f"{shown(text)}: the path in the pot must be absolute, without ..")
        return None
    if re.search(r"[\s\\\x00-\x1f]", path):
        draft.wrong(option, f"{shown(text)}: the path in the pot has a blank or backslash, which pot cannot mount on")
        return None
    plain = posixpath.normpath(path).replace("//", "/")
    if plain == "/":
        draft.wrong(option, f"{shown(text)}: nothing can be mounted on the pot's root directory")
        return None
    if f"{plain}/".startswith(f"{_SCRIPTS}/"):
        draft.wrong(option, f"{shown(text)}: the driver's own scripts are mounted there")
        return None
    if plain.startswith("/alloc/"):
        draft.wrong(
            option, f"{shown(text)}: /alloc is shared with other tasks, which can replace what is mounted on there"
        )
        return None
    return plain


def _copy(draft: Draft, text: str, mounted: tuple[Mounting, ...]) -> Copy | None:
    source, colon, inside = text.partition(":")
    if not colon or not source or not inside or ":" in inside:
        draft.wrong("copy", f'{shown(text)} is not "SOURCE:DESTINATION"')
        return None
    if not inside.startswith("/") or ".." in inside.split("/") or re.search(r"[\x00-\x1f]", inside):
        draft.wrong("copy", f"{shown(text)}: the path in the pot must be absolute, without ..")
        return None
    before = len(draft.problems)
    found = paths.resolve(draft, "copy", source, directory=None)
    if len(draft.problems) > before:
        return None
    if inside.endswith("/") and not found.is_directory:  # as for cp: into that directory
        inside += posixpath.basename(source)
    plain = posixpath.normpath(inside).replace("//", "/")
    over = next((m for m in mounted if f"{plain}/".startswith(f"{m.destination}/")), None)
    if plain == "/":
        draft.wrong("copy", f"{shown(text)}: nothing can be copied onto the pot's root directory")
    elif f"{plain}/".startswith(f"{_SCRIPTS}/"):
        draft.wrong("copy", f"{shown(text)}: the driver's own scripts are mounted there")
    elif plain in _REWRITTEN:
        draft.wrong("copy", f"{shown(text)} would be lost: {_REWRITTEN[plain]}")
    elif over is not None:
        draft.wrong("copy", f"{shown(text)} would be hidden by what is mounted on {over.destination} ({over.reason})")
    return Copy(source=found, destination=plain)
