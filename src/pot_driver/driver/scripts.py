"""The directory of a task's scripts: in its state directory, where only the host's root can write.

The pot sees it read-only. A task of an earlier version of this driver had its scripts among its secrets.

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
from pot_driver.keeper.home import Home
from pot_driver.model import TaskRecord
from pot_driver.plan import TaskFile
from pot_driver.plan.scripts import EXEC

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_EARLIER = "/secrets/.pot/exec.sh"


def write(home: Home, new: Iterable[TaskFile], owner: int) -> None:
    """Make the directory with these files. `owner`: the uid of who the task runs as."""
    try:
        home.scripts.mkdir()
        home.scripts.chmod(0o755)  # whatever the umask: the pot's users walk through it
        for file in new:
            with os.fdopen(os.open(home.scripts / file.name, _NEW, 0o600), "wb") as target:
                target.write(file.content)
                if owner and file.of_user:
                    os.fchown(target.fileno(), owner, -1)
                os.fchmod(target.fileno(), 0o400)
    except OSError as error:
        raise TryAgain(f"cannot write the task's scripts to {home.scripts}: {error.strerror}") from error


def exec_script(home: Home, record: TaskRecord) -> str | None:
    """What runs commands as the task does, as the pot sees it; the Go driver had none."""
    if home.scripts.is_dir():
        return EXEC
    return _EARLIER if record.secrets_dir else None


def remove_earlier(record: TaskRecord) -> None:
    """Leave nothing among the task's secrets of a run that an earlier version of this driver began."""
    directory = Path(record.secrets_dir, ".pot")
    name = record.pot_name.encode()
    if not record.secrets_dir or files.content(directory / "pot", limit=len(name) + 1) != name:
        return
    with suppress(OSError, RecursionError):
        if directory.is_dir() and not directory.is_symlink():
            shutil.rmtree(directory)
        else:  # what the app may have put in its place: rmtree would wait at a FIFO for ever
            directory.unlink(missing_ok=True)
