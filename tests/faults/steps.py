"""The steps of start, stop and destroy as the driver's own lists have them, in the words of the tripwire.

Not here: what goes wrong at them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pot_driver import plan, spec
from pot_driver.config import decode_plugin
from pot_driver.config.values import TaskOptions
from pot_driver.driver import stop
from pot_driver.model import Resources, TaskConfig

Step = tuple[str, int]  # a command, and which of its kind

ALLOC = "11111111-2222-3333-4444-555555555555"
# A job that needs every kind of command.
JOB: dict[str, object] = {"copy": ["/etc/passwd:/etc/copied"], "extra_hosts": ["here:10.0.0.1"]}


def start() -> list[Step]:
    """From StartTask to the running app."""
    request = TaskConfig(
        id=f"{ALLOC}/t/01234567",
        name="t",
        alloc_id=ALLOC,
        alloc_dir=f"/nowhere/{ALLOC}",
        resources=Resources(memory_mb=300),
    )
    options = TaskOptions(
        image="file:///nowhere",
        pot="shell",
        tag="1.0",
        command="/bin/sh",
        network_mode="host",
        copy=("/etc/passwd:/etc/copied",),
        extra_hosts=("here:10.0.0.1",),
    )
    *before, last = plan.build(spec.build(request, options, decode_plugin(b""), look=False)).commands
    return _numbered([*(f"pot {step.verb}" for step in before), "keeper", f"pot {last.verb}"])


def stopped() -> list[Step]:
    """StopTask with a kill_signal which the app ignores."""
    return _numbered(f"pot {step.verb}" for step in stop.commands("pot"))


def destroyed() -> list[Step]:
    """DestroyTask of a task that has ended; a test holds this against what is called."""
    return _numbered(["jls", "pot destroy", "rctl"])


def name(step: Step) -> str:
    """For people."""
    word, number = step
    return word.replace(" ", "-") + (f"-{number}" if number > 1 else "")


def _numbered(words: Iterable[str]) -> list[Step]:
    seen: Counter[str] = Counter()
    steps = []
    for word in words:
        seen[word] += 1
        steps.append((word, seen[word]))
    return steps
