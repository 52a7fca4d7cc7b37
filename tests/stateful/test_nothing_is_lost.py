"""Whatever happens in whatever order, no task is lost, doubled or told wrongly.

hypothesis makes up sequences of Nomad's calls, deaths of plugin, agent, keeper and `pot start`, reboots, and an
administrator's pot commands, against the real plugin process on pot-sim. `nomad.Nomad` holds the promises against it.

The suite runs a few short sequences, always the same. For a long search, of sequences that are longer and new:

    POT_DRIVER_STATEFUL_EXAMPLES=100 POT_DRIVER_STATEFUL_SEED=1 pytest tests/stateful/test_nothing_is_lost.py

A failure prints what was done and all that the plugin said. Nothing is shrunk: real processes seldom fail twice alike.
"""

from __future__ import annotations

import asyncio
import os
import signal as signals
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from .house import Hosts
from .life import BEGINNINGS, Life
from .nomad import BEGUN, Nomad

EXAMPLES = int(os.environ.get("POT_DRIVER_STATEFUL_EXAMPLES", "0"))
SEEDS = [int(os.environ.get("POT_DRIVER_STATEFUL_SEED", "1"))] if EXAMPLES else [1, 2, 3, 4]
SETTINGS = settings(
    max_examples=EXAMPLES or 3,  # the first of each seed does next to nothing
    stateful_step_count=20 if EXAMPLES else 10,
    database=None,
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)
STEP_LIMIT_S = 600.0
MOST_LIVES = 4

pauses = st.sampled_from((0.0, 0.0, 0.05, 0.2, 0.7, 1.5, 3.0))
which = st.integers(0, MOST_LIVES - 1)  # among the lives that there are
codes = st.sampled_from((0, 0, 1, 3, 125, 255))
in_peace = st.sampled_from((True, True, False))  # whether a call is waited for before the next thing happens


class Times(RuleBasedStateMachine):
    """One host, one client, some tasks, and fate."""

    def __init__(self, hosts: Hosts, runner: asyncio.Runner) -> None:
        super().__init__()
        self.hosts = hosts
        self.runner = runner
        self.births = 0  # counted here, as what the rules depend on must not depend on time
        self.rebooted = False
        self.nomad = Nomad(hosts.whole())
        self.run(self.nomad.launch())

    def run(self, work: Coroutine[Any, Any, Any]) -> None:
        self.runner.run(asyncio.wait_for(work, STEP_LIMIT_S))

    def do(self, work: Coroutine[Any, Any, None], *, waited: bool, pause: float) -> None:
        """Something that an agent's death would cut off."""

        async def done() -> None:
            task = self.nomad.calls.create_task(work)
            if waited:
                await asyncio.wait([task])
            await asyncio.sleep(pause)

        self.run(done())

    def life(self, number: int) -> Life:
        return self.nomad.lives[number % len(self.nomad.lives)]

    # Nomad

    @precondition(lambda self: self.births < MOST_LIVES)
    @rule(beginning=st.sampled_from(BEGINNINGS), waited=in_peace, pause=pauses)
    def start(self, beginning: str, waited: bool, pause: float) -> None:
        self.births += 1

        async def begin() -> None:
            life = self.nomad.start(beginning)
            if waited:
                await life.until(*BEGUN)
            await asyncio.sleep(pause)

        self.run(begin())

    @precondition(lambda self: self.births < MOST_LIVES)
    @rule(code=codes, pause=pauses)
    def start_something_quick(self, code: int, pause: float) -> None:
        self.births += 1

        async def begin() -> None:
            self.nomad.start(":").tell("exit", str(code), code)
            await asyncio.sleep(pause)

        self.run(begin())

    @precondition(lambda self: 0 < self.births < MOST_LIVES)
    @rule(number=which, beginning=st.sampled_from(BEGINNINGS), pause=pauses)
    def start_again(self, number: int, beginning: str, pause: float) -> None:
        """What Nomad does with a task that is no more, as far as it knows."""

        self.births += 1

        async def begin() -> None:
            if self.nomad.is_no_more(before := self.life(number)):
                self.nomad.start(beginning, after=before)
            await asyncio.sleep(pause)

        self.run(begin())

    @precondition(lambda self: self.nomad.lives)
    @rule(
        number=which,
        timeout_s=st.sampled_from((0.0, 0.5, 2.0)),
        signal=st.sampled_from(("", "SIGTERM", "SIGINT", "SIGKILL", "SIGHUP", "SIGNONSENSE")),
        waited=in_peace,
        pause=pauses,
    )
    def stop(self, number: int, timeout_s: float, signal: str, waited: bool, pause: float) -> None:
        self.do(self.nomad.stop(self.life(number), timeout_s, signal), waited=waited, pause=pause)

    @precondition(lambda self: self.nomad.lives)
    @rule(number=which, force=st.sampled_from((True, True, False)), waited=in_peace, pause=pauses)
    def destroy(self, number: int, force: bool, waited: bool, pause: float) -> None:
        self.do(self.nomad.destroy(self.life(number), force=force), waited=waited, pause=pause)

    @precondition(lambda self: self.nomad.lives)
    @rule(number=which, pause=pauses)
    def wait_and_give_up(self, number: int, pause: float) -> None:
        async def impatient() -> None:
            waiting = self.nomad.calls.create_task(self.nomad.wait(self.life(number)))
            await asyncio.sleep(pause)
            waiting.cancel()

        self.run(impatient())

    @precondition(lambda self: self.nomad.lives)
    @rule(number=which)
    def wait_too(self, number: int) -> None:
        self.do(self.nomad.wait(self.life(number)), waited=False, pause=0)

    @precondition(lambda self: self.nomad.lives)
    @rule(number=which, waited=in_peace)
    def recover_what_is_known(self, number: int, waited: bool) -> None:
        self.do(self.nomad.recover(self.life(number)), waited=waited, pause=0)

    @precondition(lambda self: self.nomad.lives)
    @rule(number=which, signal=st.sampled_from(("SIGHUP", "SIGKILL", "SIGTERM", "sigurg")), waited=in_peace)
    def signal(self, number: int, signal: str, waited: bool) -> None:
        self.do(self.nomad.signal(self.life(number), signal), waited=waited, pause=0)

    @precondition(lambda self: self.nomad.lives)
    @rule(number=which, waited=in_peace)
    def execute_and_inspect(self, number: int, waited: bool) -> None:
        self.do(self.nomad.exec(self.life(number)), waited=waited, pause=0)
        self.do(self.nomad.inspect(self.life(number)), waited=waited, pause=0)

    # the app

    @precondition(lambda self: self.nomad.lives)
    @rule(number=which, code=codes, pause=pauses)
    def end_by_itself(self, number: int, code: int, pause: float) -> None:
        self.life(number).tell("exit", str(code), code)
        self.run(asyncio.sleep(pause))

    @precondition(lambda self: self.nomad.lives)
    @rule(number=which, signal=st.sampled_from((("KILL", 9), ("SEGV", 11), ("HUP", 1))), pause=pauses)
    def die_by_itself(self, number: int, signal: tuple[str, int], pause: float) -> None:
        name, value = signal
        self.life(number).tell("kill", name, 128 + value)
        self.run(asyncio.sleep(pause))

    # accidents

    @precondition(lambda self: self.nomad.lives)
    @rule(pause=pauses)
    def plugin_dies(self, pause: float) -> None:
        self.run(self.nomad.crash_plugin())
        self.run(asyncio.sleep(pause))

    @precondition(lambda self: self.nomad.lives)
    @rule(reattach=st.sampled_from((True, True, False)), pause=pauses)
    def agent_dies(self, reattach: bool, pause: float) -> None:
        self.run(self.nomad.crash_agent(reattach=reattach))
        self.run(asyncio.sleep(pause))

    @precondition(lambda self: self.nomad.lives)
    @rule(pause=pauses)
    def agent_restarts(self, pause: float) -> None:
        self.run(self.nomad.restart_agent())
        self.run(asyncio.sleep(pause))

    @precondition(lambda self: self.nomad.lives and not self.rebooted)
    @rule(state_dir=st.sampled_from(("kept", "emptied", "lost")))
    def host_reboots(self, state_dir: str) -> None:
        self.rebooted = True
        self.run(self.nomad.reboot(state_dir))

    @precondition(lambda self: self.nomad.lives)
    @rule(number=which, signum=st.sampled_from((signals.SIGKILL, signals.SIGTERM, signals.SIGHUP)), pause=pauses)
    def keeper_is_signalled(self, number: int, signum: signals.Signals, pause: float) -> None:
        self.run(self.nomad.kill_keeper(self.life(number), signum))
        self.run(asyncio.sleep(pause))

    @precondition(lambda self: self.nomad.lives)
    @rule(number=which, keeper_too=st.booleans(), pause=pauses)
    def pot_start_dies(self, number: int, keeper_too: bool, pause: float) -> None:
        self.run(self.nomad.kill_pot_start(self.life(number), keeper_too=keeper_too))
        self.run(asyncio.sleep(pause))

    @precondition(lambda self: self.nomad.lives)
    @rule(number=which, processes=st.sampled_from((slice(None), slice(0, 1), slice(-1, None))), pause=pauses)
    def pot_command_dies(self, number: int, processes: slice, pause: float) -> None:
        self.run(self.nomad.kill_pot_commands(self.life(number), processes))
        self.run(asyncio.sleep(pause))

    # the administrator

    @precondition(lambda self: self.nomad.lives)
    @rule(
        number=which,
        words=st.sampled_from(
            (
                ("stop",),
                ("destroy", "-F"),
                ("destroy",),
                ("signal", "-s", "SIGKILL"),
                ("signal", "-s", "SIGHUP"),
                ("set-status", "-s", "doa"),
                ("set-status", "-s", "stopping"),
                ("set-status", "-s", "stopped"),
            )
        ),
        waited=in_peace,
        pause=pauses,
    )
    def administer(self, number: int, words: tuple[str, ...], waited: bool, pause: float) -> None:
        self.do(self.nomad.administer(words[0], self.life(number), *words[1:]), waited=waited, pause=pause)

    @precondition(lambda self: self.nomad.lives)
    @rule()
    def prune(self) -> None:
        """A driver's pots are none of cron's business."""
        self.do(self.prune_now(), waited=True, pause=0)

    async def prune_now(self) -> None:
        await self.nomad.house.pot("prune", "-q")

    # promises

    @invariant()
    def nothing_to_complain_of(self) -> None:
        for life in self.nomad.lives:
            assert life.began <= 1, self.nomad.report()
        assert not self.nomad.complaints, self.nomad.report()

    def teardown(self) -> None:
        nomad = self.nomad
        try:
            if not nomad.complaints:
                self.run(nomad.leave())
        finally:
            self.run(nomad.close())
            if nomad.complaints or nomad.house.leftovers():
                self.hosts.condemn()
        assert not nomad.complaints, nomad.report()


@pytest.mark.namespaces
@pytest.mark.slow
@pytest.mark.timeout(300 + 120 * EXAMPLES)
@pytest.mark.parametrize("number", SEEDS)
def test_no_task_is_lost_doubled_or_told_wrongly(hosts: Hosts, number: int) -> None:
    with asyncio.Runner() as runner:  # one for all sequences: gRPC does not let go of an event loop that it has seen
        run_state_machine_as_test(seed(number)(lambda: Times(hosts, runner)), settings=SETTINGS)
