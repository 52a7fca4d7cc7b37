"""Each row of the doctor's report on a host that is well, and on one with that single fault."""

# ruff: noqa: E501 - a table, a fault on each line

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pot_driver.operator import installation
from pot_driver.operator.doctor import facts as ask
from pot_driver.operator.doctor.facts import AgentFile, Answer, Entry, Facts
from pot_driver.operator.doctor.look import _plugin_dir, _unwritable
from pot_driver.operator.doctor.report import rows_of
from pot_driver.operator.doctor.row import Verdict

COMMAND = str(Path(sys.executable).parent / "pot-driver")
POT = "web_0123abcd_01234567-0123-0123-0123-0123456789ab"
DATASETS = "zroot/pot\tyes\t/opt/pot\t9\nzroot/pot/jails\tyes\t/opt/pot/jails\t9\n"
PS = "  1 0 2-01:02:03 /sbin/init\n 50 1 00:01 /usr/sbin/sshd -D\n"
LOCKED = PS + " 70 1 11:02 lockf -k /tmp/pot-lock-file /usr/local/bin/pot prepare\n 71 70 11:02 /bin/sh pot prepare\n"
PLUGIN = {"nomad-pot-driver": {"config": {}}}
AGENT = AgentFile(path=Path("/etc/a.hcl"), blocks={"plugin": PLUGIN, "client": {"network_interface": "em0"}})
WELL = Facts(
    host_path="/usr/local/bin",
    settings={"POT_GATEWAY": "10.192.0.1", "POT_EXTIF": "em0", "POT_ZFS_ROOT": "zroot/pot"},
    answers={
        ask.POT_VERSION: Answer(out="pot version: 0.16.0\n"),
        ask.JLS: Answer(),
        ask.PROCESSES: Answer(out=PS),
        ask.RACCT: Answer(out="1\n"),
        ask.VIMAGE: Answer(out="1\n"),
        ask.FORWARDING: Answer(out="1\n"),
        ask.RCTL: Answer(),
        ask.PF: Answer(out="Status: Enabled for 0 days 01:02:03           Debug: Urgent\n"),
        ask.INTERFACES: Answer(
            out="em0: flags=8843<UP>\n\tinet 192.0.2.7\nbridge0: flags=1\n\tinet 10.192.0.1 netmask 0\n"
        ),
        ask.DEVFS: Answer(out="100 include 1\n"),
        ask.NOMAD: Answer(out="Nomad v1.9.6\nBuildDate x\n"),
        ask.datasets("zroot/pot"): Answer(out=DATASETS),
    },
    found=frozenset({"ncat", "signify"}),
    free_bytes={"POT_CACHE /var/cache/pot": 50 << 30},
    resolv_conf="search x\nnameserver 127.0.0.1\nnameserver 192.0.2.53\n",
    pf_conf='nat-anchor pot-nat\nrdr-anchor "pot-rdr/*"\n',
    pots=frozenset({"base", POT}),
    homes=frozenset({POT}),
    agent_files=(AGENT,),
    plugin_dir=Path("/p"),
    plugin_entries=(Entry(name="nomad-pot-driver", target="/x", executable=True),),
)


def answering(argv: ask.Argv, **answer: Any) -> Facts:
    return replace(WELL, answers={**WELL.answers, argv: Answer(**answer)})


def with_agent(**blocks: object) -> Facts:
    return replace(WELL, agent_files=(replace(AGENT, blocks={**AGENT.blocks, **blocks}),))


def with_entries(*entries: Entry) -> Facts:
    return replace(WELL, plugin_entries=(*(WELL.plugin_entries or ()), *entries))


def test_a_host_that_is_well_has_no_row_that_is_not_ok() -> None:
    assert [row for row in rows_of(WELL) if row.verdict is not Verdict.OK] == []


FAULTS: list[tuple[str, Verdict, str, Facts]] = [
    ("packages", Verdict.FAILURE, "grpcio", replace(WELL, packages="packages that Python 3.11 needs here: grpcio")),
    ("root", Verdict.FAILURE, "1001", replace(WELL, uid=1001)),
    ("command pot", Verdict.FAILURE, "/usr/local/bin", answering(ask.POT_VERSION, missing=True)),
    ("command jls", Verdict.WARNING, "7.0 s", answering(ask.JLS, seconds=7.0)),
    ("command ps", Verdict.FAILURE, "no answer", answering(ask.PROCESSES, status=None, seconds=10.0)),
    ("ncat", Verdict.WARNING, "not found", replace(WELL, found=frozenset({"signify"}))),
    ("signify", Verdict.WARNING, "not found", replace(WELL, found=frozenset({"ncat"}))),
    ("free space of POT_CACHE /c", Verdict.WARNING, "1.0 GiB", replace(WELL, free_bytes={"POT_CACHE /c": 1 << 30})),
    ("free space of POT_CACHE /c", Verdict.FAILURE, "0.0 GiB", replace(WELL, free_bytes={"POT_CACHE /c": 1 << 20})),
    ("directories", Verdict.FAILURE, "POT_TMP", replace(WELL, unwritable=("POT_TMP /t: / cannot be written to",))),
    ("resolv.conf", Verdict.FAILURE, "missing", replace(WELL, resolv_conf=None)),
    ("resolv.conf", Verdict.WARNING, "127.0.0.1", replace(WELL, resolv_conf="nameserver 127.0.0.1\n")),
    ("resolv.conf", Verdict.WARNING, "no nameserver", replace(WELL, resolv_conf="#nameserver 1.1.1.1\n")),
    ("racct", Verdict.WARNING, "off", answering(ask.RACCT, out="0\n")),
    ("rctl", Verdict.FAILURE, "rctl: broken", answering(ask.RCTL, status=1, err="rctl: broken")),
    ("vnet", Verdict.FAILURE, "no VIMAGE", answering(ask.VIMAGE, status=1, err="sysctl: unknown oid")),
    ("devfs ruleset 4", Verdict.FAILURE, "empty", answering(ask.DEVFS)),
    ("forwarding", Verdict.WARNING, "off", answering(ask.FORWARDING, out="0\n")),
    ("pf", Verdict.FAILURE, "Disabled", answering(ask.PF, out="Status: Disabled for 0 days")),
    ("pf", Verdict.FAILURE, "No such file", answering(ask.PF, status=1, err="pfctl: /dev/pf: No such file or directory")),
    ("pf anchors", Verdict.FAILURE, "nat-anchor pot-nat", replace(WELL, pf_conf='#nat-anchor pot-nat\nrdr-anchor "pot-rdr/*"')),
    ("bridge", Verdict.WARNING, "is not an address", answering(ask.INTERFACES, out="em0: flags=8843<UP>\n")),
    ("POT_EXTIF", Verdict.FAILURE, "em0", answering(ask.INTERFACES, out="vtnet0: flags=1\n\tinet 10.192.0.1 x\n")),
    ("pot version", Verdict.FAILURE, "0.15.6", answering(ask.POT_VERSION, out="pot version: 0.15.6\n")),
    ("pot init", Verdict.FAILURE, "missing", replace(WELL, initialised=False)),
    ("data sets", Verdict.FAILURE, "zroot/pot/jails", answering(ask.datasets("zroot/pot"), out=DATASETS.replace("jails\tyes", "jails\tno"))),
    ("data sets", Verdict.FAILURE, "does not exist", answering(ask.datasets("zroot/pot"), status=1, err="dataset does not exist")),
    ("pot's lock", Verdict.WARNING, "held for 11:02 by pid 70", answering(ask.PROCESSES, out=LOCKED)),
    ("pot-set-hosts", Verdict.WARNING.FAILURE, "500 s", replace(WELL, set_hosts_age_s=500.0)),
    ("pots without a task", Verdict.WARNING, POT, replace(WELL, homes=frozenset())),
    ("task states without a pot", Verdict.WARNING, POT, replace(WELL, pots=frozenset())),
    ("damaged task states", Verdict.WARNING, POT, replace(WELL, damaged=frozenset({POT}))),
    ("nomad", Verdict.WARNING, "not found", answering(ask.NOMAD, missing=True, status=None)),
    ("plugin_dir", Verdict.WARNING, "/p is missing", replace(WELL, plugin_entries=None)),
    ("plugin", Verdict.FAILURE, "has no nomad-pot-driver", replace(WELL, plugin_entries=())),
    ("plugin links", Verdict.FAILURE, "old", with_entries(Entry(name="old", target="/nowhere", dangling=True))),
    ("other plugins", Verdict.WARNING, "backup.sh", with_entries(Entry(name="backup.sh", executable=True))),
    ("plugin_dir's rights", Verdict.FAILURE, "extra", with_entries(Entry(name="extra", others_write=True))),
    ("plugin_dir's rights", Verdict.FAILURE, "/p", replace(WELL, plugin_dir_others_write=True)),
    ("plugin block", Verdict.FAILURE, "none", with_agent(plugin={})),
    ("keys outside config", Verdict.FAILURE, "volumes", with_agent(plugin={"nomad-pot-driver": {"volumes": {}, "config": {}}})),
    ("plugin options", Verdict.FAILURE, 'did you mean "state_dir"', with_agent(plugin={"nomad-pot-driver": {"config": {"state_dri": "/x"}}})),
    ("network_interface", Verdict.WARNING, "em1, POT_EXTIF is em0", with_agent(client={"network_interface": "em1"})),
    ("agent", Verdict.WARNING, "line 3: not HCL", replace(WELL, agent_files=(AGENT, AgentFile(path=Path("/b"), problems=("line 3: not HCL",))))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "verdict", "found", "facts"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_a_fault_makes_its_row_red_and_says_what_mends_it(
    name: str, verdict: Verdict, found: str, facts: Facts
) -> None:
    (row,) = [row for row in rows_of(facts) if row.name == name and row.verdict is not Verdict.OK]

    assert row.verdict is verdict
    assert found in row.found
    assert row.meaning
    assert row.mend or name == "agent"


def test_every_row_has_a_fault() -> None:
    tried = {name.split(" POT_")[0] for name, *_ in FAULTS}
    named = {row.name.split(" POT_")[0] for row in rows_of(WELL)}

    assert named - tried == {"command sysctl"}  # one of the four commands' rows


def test_where_the_agent_looks_for_plugins_is_looked_at() -> None:
    def of(**blocks: object) -> Path:
        return _plugin_dir([AgentFile(path=Path("/a"), blocks=blocks)])

    assert of() == Path("/usr/local/libexec/nomad/plugins")
    assert of(data_dir="/var/nomad") == Path("/var/nomad/plugins")
    assert of(data_dir="/var/nomad", plugin_dir="/p") == Path("/p")


def test_a_file_in_a_directorys_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert list(_unwritable({"POT_TMP": tmp_path, "state_dir": tmp_path / "file/x"})) == [
        f"state_dir {tmp_path}/file/x: {tmp_path}/file is no directory"
    ]


def doctor(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "POT_SIM_ROOT": str(root), "TMPDIR": str(root)}
    return subprocess.run([COMMAND, "doctor", *arguments], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.namespaces
@pytest.mark.slow
def test_the_report_is_for_programs_too_and_changes_nothing(tmp_path: Path) -> None:
    installation.simulated(tmp_path)
    agent, plugins = tmp_path / "agent.json", tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "nomad-pot-driver").symlink_to("/nowhere")
    agent.write_text(json.dumps({"plugin_dir": str(plugins), "plugin": {"nomad-pot-driver": {"enabled": True}}}))
    (tmp_path / "driver" / POT).mkdir(parents=True)
    (tmp_path / "driver" / POT / "task").write_bytes(b"\xff")

    done = doctor(tmp_path, "--json", "--config", str(agent))

    assert done.returncode == 1, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout) if row["verdict"] != "ok"}
    assert {"plugin", "plugin links", "keys outside config", "damaged task states"} <= set(rows)
    assert (tmp_path / "driver" / POT / "task").read_bytes() == b"\xff"
    assert rows["plugin links"]["mend"] == f"rm {plugins}/nomad-pot-driver"
