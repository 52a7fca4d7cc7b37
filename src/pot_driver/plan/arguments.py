"""Whether command and environment fit into what the host's kernel takes, all together: ARG_MAX.

FreeBSD counts the bytes of both with a NUL behind each, and says "Argument list too long" at the task's last step,
when all the rest was done.

Not here: asking the host for its limit (see `driver`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pot_driver.spec import TaskSpec

EVERYWHERE = 256 * 1024  # of FreeBSD 12; newer ones take twice as much
RESERVE = 4096  # for what pot and the task's shell add
LARGEST = 3  # variables that are named


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What the task's command is executed with. `sizes`: bytes by variable, name included."""

    command: int
    sizes: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        """Bytes."""
        return self.command + sum(size for _, size in self.sizes) + RESERVE

    def misfit(self, host: str, limit: int) -> str:
        """What is wrong with it on a host that takes `limit` bytes, "" when it fits."""
        if self.total <= limit:
            return ""
        largest = sorted(self.sizes, key=lambda entry: -entry[1])[:LARGEST]
        named = ", ".join(f"{name} ({size} bytes)" for name, size in largest)
        return (
            f"environment: {host} starts no program with more than {limit} bytes of command and environment, and these"
            f" are {self.total}; the largest: {named or 'the command'}. A template can put large values into a file"
        )


def of(spec: TaskSpec, image_command: str | None = None, image_env: Sequence[str] = ()) -> Arguments:
    """Of a job, and of what its image brings: `image_env` as pot keeps it, `NAME=value` in the shell's quoting."""
    image = [(entry.partition("=")[0], len(entry.encode()) + 1) for entry in image_env]
    job = [(name, len(name.encode()) + len(value.encode()) + 2) for name, value in spec.environment.variables.items()]
    return Arguments(
        command=len((spec.command or image_command or "").encode()), sizes=tuple({**dict(image), **dict(job)}.items())
    )
