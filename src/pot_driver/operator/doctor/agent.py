"""Rows about the Nomad agent: its executable, its plugin directory, its configuration.

Not here: the host and pot (see `system`, `potrows`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pot_driver import schema
from pot_driver.config import PLUGIN_OPTIONS, decode_plugin
from pot_driver.errors import ConfigError
from pot_driver.operator.agentfile import PLUGIN
from pot_driver.operator.doctor import facts as ask
from pot_driver.operator.doctor.row import Row, Verdict, judged
from pot_driver.operator.hclspec import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pot_driver.operator.doctor.facts import AgentFile, Facts

_OF_A_PLUGIN_BLOCK = {"args", "config"}


def rows(facts: Facts) -> Iterator[Row]:
    """All of them."""
    version = facts.answer(ask.NOMAD)
    yield judged(
        "nomad", not version.missing and version.status == 0,
        version.out.split("\n", 1)[0].strip() or version.words or "not found",
        "no agent can run here; HCL job files are read without Nomad, with limits", "pkg install nomad",
        Verdict.WARNING,
    )  # fmt: skip
    yield from _plugin_dir(facts)
    for file in facts.agent_files:
        yield from _configuration(file, facts)
    with_block = [file for file in facts.agent_files if PLUGIN in _map(file.blocks.get("plugin"))]
    if facts.agent_files and not with_block:
        yield judged(
            "plugin block", False, "none of the agent's files has one",
            "newer agents load only plugins that have a block", f'plugin "{PLUGIN}" {{ config {{ }} }}',
        )  # fmt: skip


def _plugin_dir(facts: Facts) -> Iterator[Row]:
    where = facts.plugin_dir
    if where is None:
        return
    if facts.plugin_entries is None:
        yield judged(
            "plugin_dir", False, f"{where} is missing", "the agent does not find the driver",
            f"mkdir -p {where} && ln -s $(which {PLUGIN}) {where}/{PLUGIN}", Verdict.WARNING,
        )  # fmt: skip
        return
    ours = next((entry for entry in facts.plugin_entries if entry.name == PLUGIN), None)
    dangling = [entry.name for entry in facts.plugin_entries if entry.dangling]
    others = [entry.name for entry in facts.plugin_entries if entry.executable and entry.name != PLUGIN]
    yield judged(
        "plugin", ours is not None and ours.executable, f"{where}/{PLUGIN}" if ours else f"{where} has no {PLUGIN}",
        "the agent does not find the driver, or cannot start it", f"ln -sf $(which {PLUGIN}) {where}/{PLUGIN}",
    )  # fmt: skip
    yield judged(
        "plugin links", not dangling, f"lead nowhere: {', '.join(dangling)}" if dangling else "all lead somewhere",
        "a link that leads nowhere ends the agent's start", "; ".join(f"rm {where}/{name}" for name in dangling),
    )  # fmt: skip
    yield judged(
        "other plugins", not others, ", ".join(others) or "none", "the agent starts every executable in there",
        f"remove what is no plugin from {where}", Verdict.WARNING,
    )  # fmt: skip
    open_ = [entry.name for entry in facts.plugin_entries if entry.others_write]
    open_ += [str(where)] if facts.plugin_dir_others_write else []
    yield judged(
        "plugin_dir's rights", not open_, f"others may write: {', '.join(open_)}" if open_ else "root's alone",
        "who may write there is root on this host", f"chown -R root:wheel {where}; chmod -R go-w {where}",
    )  # fmt: skip


def _configuration(file: AgentFile, facts: Facts) -> Iterator[Row]:
    for problem in file.problems:
        yield Row(name="agent", verdict=Verdict.WARNING, found=f"{file.path}: {problem}", meaning="not looked at")
    block = _map(_map(file.blocks.get("plugin")).get(PLUGIN))
    outside = sorted(set(block) - _OF_A_PLUGIN_BLOCK)
    if block:
        yield judged(
            "keys outside config", not outside, f"{file.path}: {', '.join(outside)}" if outside else "none",
            "Nomad drops them in silence: restrictions that stand there are not in force",
            f'move them into plugin "{PLUGIN}" {{ config {{ … }} }}',
        )  # fmt: skip
        yield _options(file, _map(block.get("config")))
    interface, outer = _map(file.blocks.get("client")).get("network_interface"), facts.settings.get("POT_EXTIF")
    if interface and outer:
        yield judged(
            "network_interface", interface == outer, f"{interface}, POT_EXTIF is {outer}",
            "Nomad advertises another address than the one on which pots answer",
            f'client {{ network_interface = "{outer}" }} in {file.path}', Verdict.WARNING,
        )  # fmt: skip


def _options(file: AgentFile, config: Mapping[str, object]) -> Row:
    try:
        decode_plugin(encode(schema.spec(PLUGIN_OPTIONS), config))
    except ConfigError as error:
        found = f"{file.path}: {'; '.join(error.problems)}"
        return Row(
            name="plugin options", verdict=Verdict.FAILURE, found=found,
            meaning="the agent refuses the plugin", mend="docs/jobs.md has all options",
        )  # fmt: skip
    return Row(name="plugin options", verdict=Verdict.OK, found=str(file.path))


def _map(value: object) -> Mapping[str, object]:
    """A block, which JSON may have as a list of one."""
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    return value if isinstance(value, Mapping) else {}
