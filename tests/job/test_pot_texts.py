"""Pot's output and files, as it writes them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pot_driver import signals
from pot_driver.pot import command, layout, parse, prepared
from pot_driver.pot.parse import FscompEntry, Level, PotMessage
from pot_driver.pot.tree import Tree, open_without_links

BAD_HASH = b"""\
===>  importing bad @ 1.0 as bad_1_0
/var/cache/pot/bad_1.0.xz.skein - differ: char 1, line 1
###>  The image and its hash do not overlap
/var/cache/pot/bad_1.0.xz.skein - differ: char 1, line 1
###>  The image and its hash do not overlap
"""
USAGE = b"""\
###>  A pot with name ok_r1_a1 already exists
pot prepare [-hvS] -p pot -U URL -t tag -a aID -n potname -c cmd
  -h print this help
"""
CONF = """\
pot.level=0
pot.type=single
osrelease="14.1-RELEASE"
pot.attr.raw_sockets=NO
pot.attr.exec_stop=/bin/x a b
host.hostname="web_1.vm"
pot.stack=ipv4
network_type=public-bridge
vnet=true
ip=10.192.0.3
pot.dns=inherit
pot.cmd=nginx -g 'daemon off;' --a=b
pot.attr.persistent=NO
pot.export.ports=udp:53:15353 80:18080
pot.rss.cpus=2
pot.rss.memory=32m
pot.env="A=1"
pot.env="B=2=3"
pot.hosts=10.0.0.1 db
pot.hosts=fe80::1 six
pot.cmd=second
"""


def test_pots_lines_are_told_by_their_marks():
    out = b"===>  Starting the pot web\napp ===> no\n=====>  deep\n###>   Pot x not found\n"

    assert parse.messages(out) == (
        PotMessage(level=Level.INFO, text="Starting the pot web"),
        PotMessage(level=Level.DEBUG, text="deep"),
        PotMessage(level=Level.ERROR, text="Pot x not found"),
    )


def test_an_error_text_is_pots_words_once_and_without_its_help():
    assert parse.error_text(BAD_HASH, b"") == "The image and its hash do not overlap"
    assert parse.error_text(USAGE, b"") == "A pot with name ok_r1_a1 already exists"


def test_what_pots_tools_say_on_stderr_is_kept():
    fetch = b"fetch: http://x/web_1.0.xz: Not Found\n" * 2

    assert parse.error_text(b"===>  importing\n", fetch) == "fetch: http://x/web_1.0.xz: Not Found"


@given(st.binary(), st.binary())
def test_any_output_gives_a_text_of_bearable_length(out, err):
    assert len(parse.error_text(out, err)) <= 1001


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b'{ "ExitCode": 7 }\n', 7),
        (b'{ "ExitCode": 0 }', 0),
        (b"{}\n", None),
        (b"", None),
        (b"[]", None),
        (b'{ "ExitCode": "7" }', None),
        (b'{ "ExitCode": true }', None),
        (b'{ "ExitC', None),
        (b"\xff", None),
    ],
)
def test_an_unknown_exit_code_is_never_zero(text, code):
    assert parse.exit_code(text) == code


def test_pot_conf_is_read_as_pot_reads_it():
    conf = parse.pot_conf(CONF)

    assert conf.cmd == "nginx -g 'daemon off;' --a=b"
    assert (conf.network_type, conf.stack, conf.ips) == ("public-bridge", "ipv4", ("10.192.0.3",))
    assert conf.attributes == {"raw_sockets": "NO", "exec_stop": "/bin/x a b", "persistent": "NO"}
    assert conf.export_ports == ("udp:53:15353", "80:18080")


def test_an_aliass_addresses_are_read_without_their_interface():
    assert parse.pot_conf("network_type=alias\nip=em0|10.0.0.5 fe80::1\n").ips == ("10.0.0.5", "fe80::1")


@given(st.text())
def test_any_file_is_read_without_an_error(text):
    parse.pot_conf(text)
    parse.fscomp(text)
    parse.rctl_usage(text)


def test_fscomp_keeps_order_and_options():
    assert parse.fscomp("/T/host/data /local\n/T/host/tree /deep/er/dir ro\n\nhalf\n") == (
        FscompEntry(source="/T/host/data", destination="/local"),
        FscompEntry(source="/T/host/tree", destination="/deep/er/dir", option="ro"),
    )


def test_rctl_is_read():
    assert parse.rctl_usage("cputime=12\nmemoryuse=1576960\npcpu=3\nbroken\n=5\n") == {
        "cputime": 12,
        "memoryuse": 1576960,
        "pcpu": 3,
    }


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        ("SIGHUP", "SIGHUP"),
        ("hup", "SIGHUP"),
        ("SIGIOT", "SIGABRT"),
        ("INFO", "SIGINFO"),
        ("SIGPWR", None),
        ("30", "SIGUSR1"),
        ("9", "SIGKILL"),
        ("99", None),
        ("", None),
    ],
)
def test_signals_have_freebsds_names_and_numbers(name, spelled):
    assert signals.name(name) == spelled


def test_a_command_in_the_pot_is_separated_from_pots_options():
    assert command.exec_command("web", ("ls", "-l")).argv == ("exec", "-p", "web", "--", "ls", "-l")
    terminal = ("exec", "-p", "web", "-e", "TERM=xterm", "--", "sh")
    assert command.exec_command("web", ("sh",), terminal=True).argv == terminal


def test_settings_of_pot_are_read_beside_its_real_executable(tmp_path: Path):
    for directory in ("bin", "etc/pot", "other"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "bin/pot").write_text("")
    (tmp_path / "other/pot").symlink_to(tmp_path / "bin/pot")
    (tmp_path / "etc/pot/pot.default.conf").write_text("POT_CACHE=/var/cache/pot\nPOT_TMP=/tmp # here\n#POT_X=1\n")
    (tmp_path / "etc/pot/pot.conf").write_text("POT_CACHE=\"/big/cache\"\nPOT_Y=$(id)\nPOT_Z='a b'\nnonsense\n")

    assert layout.settings(tmp_path / "other/pot") == {"POT_CACHE": "/big/cache", "POT_TMP": "/tmp", "POT_Z": "a b"}
    assert layout.settings(tmp_path / "none/bin/pot") == {}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root of a pot whose image has symlinks of all kinds."""
    root = tmp_path / "m"
    for directory in ("usr/bin", "etc", "srv"):
        (root / directory).mkdir(parents=True)
    (root / "usr/bin/sh").write_text("")
    (root / "usr/bin/sh").chmod(0o755)
    (root / "usr/bin/text").write_text("")
    (root / "bin").symlink_to("usr/bin")
    (root / "abs").symlink_to("/usr/bin")
    (root / "up").symlink_to("../../../../../../etc")
    (root / "loop").symlink_to("loop")
    return root


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("/bin/sh", "/usr/bin/sh"),
        ("/abs/sh", "/usr/bin/sh"),
        ("/up", "/etc"),
        ("/up/passwd", None),
        ("/../../etc", "/etc"),
        ("/none/x", None),
        ("/", "/"),
    ],
)
def test_symlinks_of_an_image_never_lead_into_the_host(root, path, inside):
    with Tree(root) as tree:
        found = tree.find(path)
    assert (found and found[0]) == inside


def test_a_circle_of_links_is_an_error(root):
    with Tree(root) as tree, pytest.raises(OSError, match="too many symbolic links"):
        tree.make_directory("/loop/x")


def test_what_is_made_stays_in_the_pot(root, tmp_path):
    (tmp_path / "host").mkdir()
    (root / "out").symlink_to(f"{tmp_path}/host")
    (root / "file").symlink_to(f"{tmp_path}/host/file")
    with Tree(root) as tree:
        tree.write("/out/x", b"1")
        tree.write("/file", b"2")
        made = tree.make_directory("/out/d/e")

    assert not any((tmp_path / "host").iterdir())
    assert made == f"{tmp_path}/host/d/e"
    assert (root / f"{tmp_path}/host/x".lstrip("/")).read_bytes() == b"1"
    assert (root / "file").read_bytes() == b"2"
    assert not (root / "file").is_symlink()


def test_a_copy_keeps_modes_and_links_and_takes_no_fifo(root, tmp_path):
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep/run").write_text("x")
    (source / "deep/run").chmod(0o750)
    (source / "link").symlink_to("/etc/passwd")
    with Tree(root) as tree:
        opened = open_without_links(str(source))
        tree.copy(opened, "/srv", name="source", limit=100)
        assert (root / "srv/deep/run").stat().st_mode & 0o777 == 0o750
        assert str((root / "srv/link").readlink()) == "/etc/passwd"
        with pytest.raises(OSError, match="more than 0 bytes"):
            tree.copy(opened, "/srv2", name="source", limit=0)
        os.mkfifo(source / "fifo")
        with pytest.raises(OSError, match="fifo is neither"):
            tree.copy(opened, "/srv3", name="source", limit=100)
        os.close(opened)


def test_a_path_with_a_link_in_it_is_not_opened(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real/x").write_text("x")

    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        open_without_links(f"{tmp_path}/link/x")


def test_what_pot_writes_stays_in_the_pot(root, tmp_path):
    own = (str(tmp_path / "own"), "/usr/tmp")
    (tmp_path / "own").mkdir()
    (root / "tmp").symlink_to("usr/tmp")
    assert prepared.leaks(root, [own]) == []

    (root / "etc/hosts").symlink_to("/etc/hosts")
    (tmp_path / "own/tinirc").symlink_to("../elsewhere")
    found = prepared.leaks(root, [own])

    assert [problem.partition(":")[0] for problem in found] == [
        "pot would write /etc/hosts of the pot to the host's /etc/hosts",
        f"pot would write /tmp/tinirc of the pot to the host's {tmp_path}/elsewhere",
    ]
    assert prepared.leaks(root, []) == found[:1]
    with Tree(root) as tree:
        prepared.make_writable(tree)
    assert prepared.leaks(root, []) == []


def test_what_the_image_lacks_is_named(root):
    with Tree(root) as tree:
        found = prepared.lacking(tree, ["/bin/sh", "/bin/text", "/bin/chroot"])
        wanted = prepared.wanting(tree)

    assert [problem.split(",")[0] for problem in found] == [
        "the image has no /bin/text",
        "the image has no /bin/chroot",
    ]
    assert [problem.split(":")[0] for problem in wanted] == [
        "the image has no /etc/pwd.db",
        "the image has no /usr/bin/env",
        "the image has no /root",
    ]


def test_what_may_be_mounted_later_is_not_lacking(tmp_path):
    (tmp_path / "usr" / "bin").mkdir(parents=True)
    (tmp_path / "bin").symlink_to("usr/bin")

    with Tree(tmp_path) as tree:
        assert prepared.lacking(tree, ["/bin/sh", "/sbin/x"]) == []
