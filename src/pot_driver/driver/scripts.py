"""The directory `.pot` among a task's secrets: start script, environment, and the mark that the app's script began.

Every run of a task finds the same secrets directory, so this says whose run it is for: an earlier run that is removed
late takes nothing from a later one.

Not here: what is in the files (see `plan.scripts`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pot_driver import files
from pot_driver.errors import TryAgain
from pot_driver.model import TaskRecord
from pot_driver.plan import TaskFile

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def begin(record: TaskRecord) -> None:
    """Make it anew: an earlier run of the task may have left anything there."""
    directory = _directory(record)
    try:
        _clear(directory)
        directory.mkdir(mode=0o700)
    except (OSError, RecursionError) as error:
        raise TryAgain(f"cannot make {directory}: {error}") from error
    write([TaskFile(path=str(_owner(record)), content=record.pot_name.encode())])


def write(new: Iterable[TaskFile]) -> None:
    """Write files that must not be there yet."""
    for file in new:
        try:
            with os.fdopen(os.open(file.path, _NEW, file.mode), "wb") as target:
                os.fchmod(target.fileno(), file.mode)  # whatever the agent's umask
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
        with suppress(OSError, RecursionError):
            _clear(_directory(record))


def _clear(directory: Path) -> None:
    """Remove it, and whatever the app may have put in its place: rmtree would wait at a FIFO for ever."""
    if directory.is_dir() and not directory.is_symlink():
        shutil.rmtree(directory)
    else:
        directory.unlink(missing_ok=True)


def _is_of(record: TaskRecord) -> bool:
    """The app is root in its pot, and may have removed what says so."""
    name = record.pot_name.encode()
    return files.content(_owner(record), limit=len(name) + 1) in {None, name}


def _owner(record: TaskRecord) -> Path:
    return _directory(record) / "pot"


def _directory(record: TaskRecord) -> Path:
    return Path(record.secrets_dir, ".pot")
