"""pot's other commands: images made, exported, signed; snapshots, names, dependencies; and `pot-sim` itself.

Not here: the seventy points (`test_checklist*.py`), the recorded runs (`test_transcripts.py`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pot_sim import ed25519, help, signify, zfs  # noqa: A004 (the simulator's)
from pot_sim.session import ALIASES

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Ended, Simulator

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]

# RFC 8032, 7.1: seed, public key, message, signature.
_VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe2"
            "4655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302ae"
            "eb00d291612bb0c00"
        ),
    ),
]


@pytest.mark.parametrize(("seed", "public", "message", "signature"), _VECTORS)
def test_signatures_are_those_of_the_standard(seed: str, public: str, message: str, signature: str) -> None:
    key, text = bytes.fromhex(seed), bytes.fromhex(message)

    assert ed25519.public_key(key).hex() == public
    assert ed25519.sign(key, text).hex() == signature
    assert ed25519.verify(bytes.fromhex(public), text, bytes.fromhex(signature))
    assert not ed25519.verify(bytes.fromhex(public), text + b"x", bytes.fromhex(signature))


def test_every_command_has_help(sim: Simulator) -> None:
    """`pot help X` and `pot X -h` say the same, under every name of X, with status 0."""
    commands = [line.split()[0] for line in sim.pot("help").lines[3:]]
    names = [name for each in commands for name in each.split("/")]
    for name in names:
        if name in ("help", "promote"):
            continue
        topic = {"run": "term"}.get(name, ALIASES.get(name, name))
        asked = sim.pot("help", name)
        assert (asked.status, asked.out) == (0, help.of(topic) + "\n"), name
    assert sim.pot("prepare", "-h").out == help.of("prepare") + "\n"
    unknown = sim.pot("help", "nosuch")
    assert (unknown.status, unknown.lines) == (1, ["###>  Command nosuch unkown"])


def test_a_created_pot_can_be_exported_and_imported_again(sim: Simulator) -> None:
    made = sim.ok("create -p base -t single -b 14.1")
    assert made.lines[0] == "===>  Creating a new pot"
    (sim.m("base") / "root/mark").write_text("here")
    sim.ok("snapshot -p base")
    exported = sim.ok(f"export -p base -t 2.0 -D {sim.host}")
    assert exported.lines[0].endswith(f"to {sim.host}/base_2.0.xz")

    sim.ok(f"prepare -U file://{sim.host} -p base -t 2.0 -a a1 -n p -c 'cat /root/mark'")
    assert sim.pot("start", "p_a1").lines[1] == "here"
    assert sim.pot("export", "-p", "p_a1").lines[-1].startswith("###>  Pot p_a1 has no snapshots")


def test_a_layered_image_brings_what_it_is_layered_on(sim: Simulator) -> None:
    name = sim.prepare("layer", "true")
    (sim.m(name) / "root/mark").write_text("layer")
    zfs.set_property(sim.root, "jails/web_1_0", ":pot.tag", "1.0")
    sim.ok(f"export -A -p {name} -t 1 -D {sim.host}")
    meta = (sim.host / f"{name}_1.xz.meta").read_text().strip()
    assert meta.startswith("web_1_0:1.0@")

    sim.ok(f"destroy -p {name}")
    sim.ok("destroy -p web_1_0")
    for suffix in ("", ".meta", ".skein"):
        source = Path(sim.images.removeprefix("file://")) / f"web_1.0.xz{suffix}"
        (sim.host / f"web_1_0_1.0.xz{suffix}").write_bytes(source.read_bytes())
    imported = sim.ok(f"import -p {name} -t 1 -U file://{sim.host}")
    assert f"===>  Pot {name}_1 depends on web_1_0_1_0 (@{meta.partition('@')[2]})" in imported.lines
    assert "===>  Installing dependency web_1_0_1_0" in imported.lines
    assert sim.pot("destroy", "-p", "web_1_0_1_0").status == 1


def test_signed_images_are_verified(sim: Simulator) -> None:
    for key in ("good", "other"):
        signify.make_keys(str(sim.host / key))
    sim.ok("create -p s -t single -b 14.1")
    sim.ok("snapshot -p s")
    sim.ok(f"export -p s -t 1 -D {sim.host} -S {sim.host}/good.sec")
    prepare = ("prepare", "-U", f"file://{sim.host}", "-p", "s", "-t", "1", "-a", "a1", "-n", "p", "-C")

    refused = sim.pot(*prepare, str(sim.host / "other.pub"))
    assert refused.status == 1
    assert refused.lines.count("###>  Signature verification failed") == 2
    accepted = sim.pot(*prepare, str(sim.host / "good.pub"))
    assert accepted.status == 0
    assert "Signature Verified" in accepted.lines

    Path(sim.root.bin, "signify").unlink()
    for argv in (("import", "-p", "s", "-t", "3", "-C", f"{sim.host}/good.pub"),
                 ("export", "-p", "s", "-t", "2", "-D", str(sim.host), "-S", f"{sim.host}/good.sec")):  # fmt: skip
        without = sim.pot(*argv)
        assert (without.status, without.lines[-1]) == (1, "###>  Could not find 'signify', try 'pkg install signify'")


def test_snapshots_are_taken_replaced_purged_and_returned_to(sim: Simulator) -> None:
    name = sim.prepare("p", "sleep 300")
    sim.ok(f"snapshot -p {name}")
    [first] = sim.ok(f"info -s -p {name}").lines
    (sim.m(name) / "root/late").touch()
    sim.ok(f"set-env -p {name} -E A=1")
    sim.ok(f"revert -p {name}")
    assert not (sim.m(name) / "root/late").exists()
    assert 'pot.env="A=1"' not in sim.conf(name)

    sim.until(lambda: int(time.time()) > int(first))
    sim.ok(f"snapshot -r -p {name}")
    assert sim.ok(f"info -s -p {name}").lines != [first]
    sim.start(name)
    running = sim.pot("snapshot", "-p", name)
    assert (running.status, "is still running" in running.lines[0]) == (1, True)
    sim.ok(f"purge-snapshots -a -p {name}")
    assert sim.ok(f"info -s -p {name}").out == ""


def test_an_image_without_snapshots_cannot_be_prepared_and_says_0(sim: Simulator) -> None:
    """The undo of the clone ends the whole prepare with success."""
    name = sim.prepare("p")
    sim.ok(f"destroy -p {name}")
    sim.ok("purge-snapshots -a -p web_1_0")
    ended = sim.pot("prepare", "-p", "web", "-t", "1.0", "-a", "a1", "-n", "p")

    assert ended.status == 0
    assert ended.lines == ["###>  zroot/pot/jails/web_1_0/m has no snap - please take a snapshot of web_1_0"]
    assert sim.pot("info", "-qp", name).status == 1
    assert sim.pot("clone", "-k", "-P", "web_1_0", "-p", "kept").status == 1
    assert sim.pot("clone", "-F", "-P", "web_1_0", "-p", "auto").lines[0].startswith("===>  zroot/pot/jails/web_1_0/m")


def test_a_directory_that_covers_the_root_lets_no_jail_be(sim: Simulator) -> None:
    """mount-in takes any spelling of the root but the shortest; what it leads to is seen at start."""
    name = sim.prepare("p", "true")
    assert sim.pot("mount-in", "-p", name, "-d", str(sim.host), "-m", "//").status == 0

    assert (Path(sim.root.conf(name)) / "fscomp.conf").read_text() == f"{sim.host} /\n"
    ended = sim.pot("start", name)
    assert ended.status == 125
    assert "mount.devfs" in ended.err


def test_rename_moves_a_stopped_pot(sim: Simulator) -> None:
    name = sim.prepare("p", "true")
    sim.prepare("q")
    sim.ok(f"add-dep -p q_a1 -P {name}")
    sim.ok(f"rename -p {name} -n renamed")

    assert sim.pot("ls", "-q").lines == ["q_a1", "renamed", "web_1_0"]
    assert "pot.depend=renamed" in sim.conf("q_a1")
    assert sim.pot("start", "renamed").status == 0
    taken = sim.pot("rename", "-p", "renamed", "-n", "q_a1")
    assert (taken.status, taken.lines) == (1, ["###>  pot q_a1 exists already"])


def test_a_dependency_is_started_first(sim: Simulator) -> None:
    first, second = sim.prepare("a", "echo first"), sim.prepare("b", "echo second")
    sim.ok(f"add-dep -p {second} -P {first}")

    assert [line for line in sim.pot("start", second).lines if line in ("first", "second")] == ["first", "second"]


def test_a_persistent_pot_outlives_its_command(sim: Simulator) -> None:
    name = sim.prepare("p", "sh -c 'exit 4'")
    sim.ok(f"set-attr -p {name} -A persistent -V YES")

    assert sim.pot("start", name).status == 0
    assert sim.lives(name)
    assert sim.ok("ps -q").lines == [name]
    shell = sim.pot("term", name, stdin=b"echo in $USER; pwd\n")
    assert shell.out.split() == ["in", "root", "/root"]
    sim.ok(f"stop {name}")
    assert sim.pot("term", name).lines == [f"###>  The pot {name} is not running"]


def test_a_file_system_component_is_mounted_by_name(sim: Simulator) -> None:
    name = sim.prepare("p", "cat /data/mark")
    sim.ok("create-fscomp -f data")
    (Path(sim.root.fs) / "fscomp/data/mark").write_text("shared")
    sim.ok(f"mount-in -p {name} -f data -m /data")

    assert sim.pot("start", name).lines[1] == "shared"
    assert sim.pot("ls", "-f", "-q").lines == ["data"]


def test_a_free_host_port_is_chosen_at_start(sim: Simulator) -> None:
    name = sim.prepare("p", "sleep 300", "-N", "public-bridge", "-e", "80", "-e", "udp:53")
    sim.start(name)
    rules = [line.strip() for line in sim.ok(f"show -p {name}").lines if "rdr pass" in line]

    ports = [int(rule.partition(" -> ")[0].split()[-1]) for rule in rules]
    assert len(set(ports)) == 2
    assert all(1024 <= port < 10000 for port in ports)


def test_a_flavour_configures_a_clone(sim: Simulator) -> None:
    sim.prepare("p")
    (sim.host / "flavour").write_text("set-cmd -c echo flavoured\nset-attribute -A no-rc-script -V YES\nrm -rf /\n")
    ended = sim.pot("clone", "-P", "web_1_0", "-p", "c", "-f", str(sim.host / "flavour"))

    assert ended.status == 0
    assert ended.lines == [f"###>  Flavor {sim.host}/flavour: line rm -rf / not valid - ignoring"]
    sim.ok("set-attribute -p c -A persistent -V NO")
    assert sim.pot("start", "c").lines[1] == "flavoured"


def test_pot_configuration_is_sourced_by_a_shell(sim: Simulator) -> None:
    with (Path(sim.root.etc) / "pot.conf").open("a") as file:
        file.write('A=10.192\nPOT_GATEWAY="$A.0.9"\n')

    assert sim.pot("config", "-q", "-g", "gateway").out == "10.192.0.9\n"


def test_a_missing_file_system_root_is_told_on_stderr(sim: Simulator) -> None:
    (Path(sim.root.etc) / "pot.conf").write_text("POT_FS_ROOT=/nonexistent\n")
    ended = sim.pot("ls")

    assert (ended.status, ended.out) == (1, "")
    assert ended.err == "###>  /nonexistent does not exist, please run 'pot init'\n"


def test_pot_sim_makes_a_root_and_an_image(pot_sim: Callable[..., Ended], tmp_path: Path) -> None:
    """With nothing but the variable that names the root."""
    root = tmp_path / "root"
    assert pot_sim("doctor", POT_SIM_ROOT=str(root)).status == 2
    assert pot_sim("init", POT_SIM_ROOT=str(root)).status == 0
    content = tmp_path / "content"
    (content / "srv").mkdir(parents=True)
    made = pot_sim("--root", str(root), "image", "create", "x", "1", "--from", str(content), "--cmd", "true")

    assert made.out == f"{root}/images/x_1.xz\n"
    assert {path.name for path in (root / "bin").iterdir()} >= {"pot", "jls", "ps", "sysctl", "rctl", "sh"}
    assert pot_sim("doctor", POT_SIM_ROOT=str(root)).status == 0
    assert pot_sim("init").status == 2
    for wrong in ("--network=bridge", "--depends=base", "--from=/nosuch", "--sign=/nosuch.sec"):
        assert pot_sim("--root", str(root), "image", "create", "y", "1", wrong).status != 0
    assert not list((root / "images").glob("y_*"))


def test_faults_are_switched_by_command_and_by_variable(sim: Simulator, pot_sim: Callable[..., Ended]) -> None:
    name = sim.prepare("p", "true")
    environment = {"POT_SIM_ROOT": sim.root.path}
    assert pot_sim("fault", "mount", "--pot", "q*", **environment).out == "mount pot=q*\n"
    sim.ok(f"mount-in -p {name} -d {sim.host} -m /h")
    assert sim.pot("start", name).status == 0
    assert sim.pot("start", name, POT_SIM_FAULTS="mount pot=p*").status == 1
    assert pot_sim("fault", "--clear", **environment).out == ""
    assert pot_sim("fault", "nosuch", **environment).status == 2
    for incomplete in (["slow"], ["slow", "start"], ["slow", "start", "soon"], ["hang"], ["clone-slow", "x"]):
        refused = pot_sim("fault", *incomplete, **environment)
        assert (refused.status, refused.out) == (1, ""), incomplete


def test_a_reboot_ends_everything_and_keeps_the_files(sim: Simulator, pot_sim: Callable[..., Ended]) -> None:
    name = sim.prepare("p", "sleep 300")
    running = sim.start(name)
    assert pot_sim("reboot", POT_SIM_ROOT=sim.root.path).status == 0

    assert running.ended().status == -9
    assert not sim.lives(name)
    assert sim.pot("stop", name).status == 1
    sim.background("start", name)
    sim.until(lambda: sim.lives(name) and sim.state(name) == "started")
    sim.ok(f"stop {name}")


def test_two_roots_know_nothing_of_each_other(sim: Simulator, tmp_path: Path, image_dir: Path) -> None:
    other = type(sim)(tmp_path / "other", image_dir)
    try:
        for each in (sim, other):
            each.start(each.prepare("p", "sleep 300", "-N", "public-bridge"))
        sim.ok("stop p_a1")

        assert other.lives("p_a1")
        assert other.ok("exec -p p_a1 hostname").out == f"p_a1.{os.uname().nodename}\n"
    finally:
        other.close()


def test_descriptors_are_handed_on_to_the_app(sim: Simulator) -> None:
    """A driver gives its log pipes as 3 and 4."""
    name = sim.prepare("p", "sh -c 'echo out >&3; echo err >&4'")
    reading, writing = os.pipe()
    program = "import os, sys; w = int(sys.argv[1]); os.dup2(w, 3); os.dup2(w, 4); os.execv(sys.argv[2], sys.argv[2:])"
    done = subprocess.run(
        [sys.executable, "-c", program, str(writing), sim.root.bin + "/pot", "start", name],
        env={"PATH": f"{sim.root.bin}:/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=(writing,),
        check=False,
    )
    os.close(writing)

    assert done.returncode == 0
    assert os.read(reading, 100) == b"out\nerr\n"
    assert os.read(reading, 100) == b""
    os.close(reading)
