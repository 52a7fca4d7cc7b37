"""Host paths that a job names: where they lead, and whether the job may go there.

A relative path, and one that begins with /local, /secrets or /alloc, is in the task's own directories and must stay
there. Any other absolute path is the host's, if the plugin's `volumes` block allows it. Symlinks are followed before
the question is asked, pot gets the path without them, and `changed` asks again just before use.

Not here: what is done with the path.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Callable

from pot_driver.config.checks import shown
from pot_driver.spec.draft import Draft
from pot_driver.spec.values import HostPath

_PRIVATE = "private"  # Nomad's own secrets beside the task's


def resolve(draft: Draft, option: str, text: str, *, directory: bool | None, may_be_missing: bool = False) -> HostPath:
    """Where the path leads. `directory`: what it must be, None: a file or a directory."""
    if "\0" in text or "\n" in text or not text.strip():
        draft.wrong(option, f"{shown(text)} is not a path")
        return HostPath(path=text)
    own = _own(draft, text)
    path = os.path.realpath(own or text) if draft.look else posixpath.normpath(own or text).replace("//", "/")
    if own is not None and not _inside(draft, path):
        draft.wrong(option, f"{shown(text)} leads out of the task's own directories (local, secrets and ../alloc)")
    elif own is not None and path == _real(draft)(draft.task.task_dir):
        draft.wrong(
            option, f"{shown(text)} holds more than the task may see: name a directory in it, such as local/data"
        )
    elif (own is not None or _allowed(draft, option, text, path)) and draft.look and not may_be_missing:
        return _identify(draft, option, text, path, directory=directory)
    return HostPath(path=path)


def trusted(draft: Draft, option: str, path: str) -> HostPath:
    """A directory that the host's administrator, through Nomad, put there for this task."""
    if not draft.look:
        return HostPath(path=path)
    return _identify(draft, option, path, os.path.realpath(path), directory=True)


def changed(host_path: HostPath) -> str | None:
    """What is wrong when the path leads elsewhere now than when it was checked."""
    if host_path.inode is None:
        return None
    try:
        now = os.lstat(host_path.path)
    except OSError as err:
        return f"{host_path.path} was there when the job was checked and is not now: {err.strerror}"
    same = (now.st_dev, now.st_ino) == (host_path.device, host_path.inode)
    if not same or os.path.realpath(host_path.path) != host_path.path:
        return f"{host_path.path} was replaced after the job was checked"
    return None


def own_directory(draft: Draft, path: str) -> HostPath:
    """One of the task's own directories, which Nomad makes: a link in its place would be an earlier run's doing."""
    if not draft.look:
        return HostPath(path=path)
    real = os.path.realpath(draft.task.alloc_dir) + path.removeprefix(draft.task.alloc_dir)
    if os.path.realpath(path) != real:
        draft.wrong("task", f"{path} is not the directory that Nomad made: there is a link in its place or on the way")
        return HostPath(path=path)
    return _identify(draft, "task", path, real, directory=True)


def unmountable(draft: Draft, host_path: HostPath) -> str:
    """Why a host directory cannot be mounted safely, "" when it can.

    pot mounts by path, long after the check: whoever can rename a directory on the way decides what is mounted.
    """
    if not draft.look or host_path.inode is None:
        return ""
    task, path = draft.task, host_path.path
    shared = os.path.realpath(task.shared_dir)
    if _below(path, shared):
        return f"other tasks of the group can replace it; the pot has it as /alloc{path.removeprefix(shared)} already"
    own = _below(path, os.path.realpath(task.task_dir))
    if own or not draft.plugin.volumes.allowed_paths:
        return ""
    renamer = next((at for at in _parents(path) if _lets_others_rename(at, path)), None)
    return f"others than root can rename what lies in {renamer}, and so decide what is mounted" if renamer else ""


def _parents(path: str) -> list[str]:
    parts = path.rstrip("/").split("/")[:-1]
    return ["/".join(parts[:count]) or "/" for count in range(1, len(parts) + 1)]


def _lets_others_rename(directory: str, path: str) -> bool:
    found = os.lstat(directory)
    if found.st_uid != 0:
        return True
    if not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return False
    name = path.removeprefix(directory).strip("/").partition("/")[0]
    return not found.st_mode & stat.S_ISVTX or os.lstat(f"{directory.rstrip('/')}/{name}").st_uid != 0


def _own(draft: Draft, text: str) -> str | None:
    """The path in the task's own directories, None when it is the host's."""
    task = draft.task
    for inside, outside in (("/local", task.local_dir), ("/secrets", task.secrets_dir), ("/alloc", task.shared_dir)):
        if text == inside or text.startswith(f"{inside}/"):
            return outside + text.removeprefix(inside)
    # A path that already lies there: "${NOMAD_TASK_DIR}" of jobs for drivers without an image.
    if text.startswith(f"{task.alloc_dir}/"):
        return text
    return None if text.startswith("/") else f"{task.task_dir}/{text}"


def _real(draft: Draft) -> Callable[[str], str]:
    return os.path.realpath if draft.look else posixpath.normpath


def _inside(draft: Draft, path: str) -> bool:
    task = draft.task
    real = _real(draft)
    if _below(path, f"{real(task.task_dir)}/{_PRIVATE}"):
        return False
    return any(_below(path, real(root)) for root in (task.task_dir, task.shared_dir))


def _allowed(draft: Draft, option: str, text: str, path: str) -> bool:
    volumes = draft.plugin.volumes
    if not volumes.enabled:
        draft.wrong(
            option,
            f"{shown(text)} is a path of the host, and this node has volumes disabled: "
            "only paths in the task's own directories can be used, such as local/…",
        )
        return False
    roots = [os.path.realpath(root) if draft.look else root for root in volumes.allowed_paths]
    if roots and not any(_below(path, root) for root in roots):
        listed = ", ".join(volumes.allowed_paths)
        draft.wrong(option, f"{shown(text)} is not below one of this node's allowed_paths {listed}")
        return False
    return True


def _identify(draft: Draft, option: str, text: str, real: str, *, directory: bool | None) -> HostPath:
    try:
        found = os.lstat(real)
    except OSError as err:
        draft.wrong(option, f"{shown(text)}: {err.strerror} on the host" + (f" ({real})" if real != text else ""))
        return HostPath(path=real)
    is_directory = stat.S_ISDIR(found.st_mode)
    if directory is True and not is_directory:
        draft.wrong(option, f"{shown(text)} is not a directory" + (" (copy takes files)" if "mount" in option else ""))
    elif directory is not True and not stat.S_ISREG(found.st_mode) and (directory is False or not is_directory):
        draft.wrong(option, f"{shown(text)} is not a file" + (" or directory" if directory is None else ""))
    return HostPath(path=real, device=found.st_dev, inode=found.st_ino, is_directory=is_directory)


def _below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")
