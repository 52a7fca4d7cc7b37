"""The directory `.pot` among a task's secrets: start script, environment, and the mark that the app's script began.

Every run of a task finds the same secrets directory, so this says whose run it is for: an earlier run that is removed
late takes nothing from a later one.

Not here: what is in the files (see `plan.scripts`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from pot_driver.errors import TryAgain
from pot_driver.model import TaskRecord
from pot_driver.plan import TaskFile

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def begin(record: TaskRecord) -> None:
    """Make it anew: an earlier run of the task may have left anything there."""
    directory = _directory(record)
    try:
        if directory.is_symlink() or directory.is_file():
            directory.unlink()
        elif directory.exists():
            shutil.rmtree(directory)
        directory.mkdir(mode=0o700)
    except OSError as error:
        raise TryAgain(f"cannot make {directory}: {error.strerror}") from error
    write([TaskFile(path=str(_owner(record)), content=record.pot_name.encode())])


def write(files: Iterable[TaskFile]) -> None:
    """Write files that must not be there yet."""
    for file in files:
        try:
            with os.fdopen(os.open(file.path, _NEW, file.mode), "wb") as target:
                target.write(file.content)
        except OSError as error:
            raise TryAgain(f"cannot write {file.path}: {error.strerror}") from error


def began(record: TaskRecord) -> bool:
    """Whether the task's start script ran in the jail; not knowable for the Go driver's pots, so taken for granted."""
    return not record.secrets_dir or (_is_of(record) and os.path.lexists(_directory(record) / "started"))


def has_exec_script(record: TaskRecord) -> bool:
    """Whether commands can run as the task does: the Go driver writes no script, and a task may remove its own."""
    return bool(record.secrets_dir) and (_directory(record) / "exec.sh").is_file()


def remove(record: TaskRecord) -> None:
    """Leave nothing of this run."""
    if record.secrets_dir and _is_of(record):
        shutil.rmtree(_directory(record), ignore_errors=True)


def _is_of(record: TaskRecord) -> bool:
    """The app is root in its pot, and may have removed what says so."""
    try:
        return _owner(record).read_bytes() == record.pot_name.encode()
    except OSError:
        return True


def _owner(record: TaskRecord) -> Path:
    return _directory(record) / "pot"


def _directory(record: TaskRecord) -> Path:
    return Path(record.secrets_dir, ".pot")
