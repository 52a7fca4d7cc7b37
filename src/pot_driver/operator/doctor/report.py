"""The doctor's report, and its exit status: 0 all well or warnings only, 1 something is broken.

Not here: the facts and what they mean.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from pot_driver import __version__
from pot_driver.errors import DriverError
from pot_driver.operator import agentfile, installation
from pot_driver.operator.console import Console
from pot_driver.operator.doctor import agent, potrows, system
from pot_driver.operator.doctor.look import look
from pot_driver.operator.doctor.row import Row, Verdict
from pot_driver.operator.session import Health, Session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import TextIO

    from pot_driver.operator.doctor.facts import Facts
    from pot_driver.operator.installation import Installation


async def run(config: Path | None, console: Console, *, as_json: bool, nowhere: TextIO) -> int:
    """Look, tell; the status to exit with. `nowhere` takes what the plugin's launch has to say beside the JSON."""
    pot = installation.find(agentfile.plugin_config(config) if config else {})
    if not as_json:
        console.title(f"pot-driver {__version__} looks at {pot.label}")
    found = rows_of(await look(pot, config))
    found.append(await _plugin(pot, Console(plain=True, stream=nowhere) if as_json else console))
    if as_json:
        print(json.dumps([asdict(row) | {"verdict": row.verdict.value} for row in found], indent=2))
    else:
        _tell(found, console)
    return int(any(row.verdict is Verdict.FAILURE for row in found))


def rows_of(facts: Facts) -> list[Row]:
    """All rows, in the order in which one would mend what they tell."""
    return [*system.rows(facts), *potrows.rows(facts), *agent.rows(facts)]


async def _plugin(pot: Installation, console: Console) -> Row:
    """What the plugin itself says, over its own protocol."""
    try:
        async with Session.open(pot, console, healthy=False) as session:
            answer = await session.agent.health()
    except ExceptionGroup as errors:
        if errors.split(DriverError)[1]:
            raise
        found = str(errors.exceptions[0])
        return Row(name="driver", verdict=Verdict.FAILURE, found=found, meaning="no agent can use it", mend="see above")
    fine = answer.health == Health.HEALTHY
    return Row(
        name="driver",
        verdict=Verdict.OK if fine else Verdict.FAILURE,
        found=answer.health_description,
        meaning="" if fine else "no task can start here",
        mend="" if fine else "docs/operating.md has what each reason means",
    )


def _tell(rows: Sequence[Row], console: Console) -> None:
    for row in rows:
        console.verdict(row.verdict.value, row.name, row.found)
        if row.verdict is not Verdict.OK:
            console.detail(row.meaning)
            console.detail(f"mend: {row.mend}" if row.mend else "")
    count = {verdict: sum(row.verdict is verdict for row in rows) for verdict in Verdict}
    console.title(", ".join(f"{number} {verdict.value}" for verdict, number in count.items() if number))
