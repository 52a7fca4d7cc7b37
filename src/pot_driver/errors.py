"""The closed set of errors, named by what the caller can do about them.

Each class has exactly one row in the table of `services/statuses.py`.

Not here: gRPC status codes, and bugs (an unexpected exception is not one of these).
"""

from __future__ import annotations

from collections.abc import Sequence


class DriverError(Exception):
    """What was asked, what happened (pot's own words), what to do."""


class ConfigError(DriverError):
    """The job or the plugin block is wrong: correct it. Carries every problem found, not only the first."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))  # Nomad keeps line breaks in its events


class TaskNotFound(DriverError):  # noqa: N818 - the field's word
    """No task has this id."""

    def __init__(self, task_id: str) -> None:
        super().__init__(f"task not found for given id: {task_id}")


class TaskExists(DriverError):  # noqa: N818
    """A task with this id has been started already."""

    def __init__(self, task_id: str) -> None:
        super().__init__(f'task with ID "{task_id}" already started')


class WrongState(DriverError):  # noqa: N818
    """The task is not in a state in which this can be done."""


class PotFailed(DriverError):  # noqa: N818
    """A pot command did not do what it should: trying the same again would fail again."""


class TryAgain(DriverError):  # noqa: N818
    """It failed for a passing reason (download, lock, disk space): Nomad's restart policy should try again."""


class TimedOut(DriverError):  # noqa: N818
    """Something outside (pot, a command in the pot) took longer than its limit."""


class Unsupported(DriverError):  # noqa: N818
    """The driver does not offer this."""
