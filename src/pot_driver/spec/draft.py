"""A job while it is being checked: what was asked, and what has been found wrong so far.

Not here: any check.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pot_driver.config import PluginConfig, TaskOptions
from pot_driver.model import TaskConfig


@dataclass(slots=True, kw_only=True)
class Draft:
    """Handed from check to check. `look`: the host's files are there to be looked at."""

    task: TaskConfig
    options: TaskOptions
    plugin: PluginConfig
    look: bool = True
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def wrong(self, option: str, text: str) -> None:
        """Note what is wrong with an option."""
        self.problems.append(f"{option}: {text}")

    def warn(self, option: str, text: str) -> None:
        """Note what a job's author should know."""
        self.warnings.append(f"{option}: {text}")
