"""A line that the pot's shell would not become is refused, as the shell itself judges it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pot_driver.errors import ConfigError
from pot_driver.spec import line


@pytest.mark.parametrize(
    ("arg", "words"),
    [
        ("sslmode=disable&pool=5", '"&" outside quotes (character 16)'),
        ("-d &", '"&" outside quotes (character 4)'),
        ("&>log", '"&" outside quotes (character 1)'),
        ("a && b", '"&" outside quotes'),
        ("a; b", '";" outside quotes (character 2)'),
        ("| tee log", '"|" outside quotes'),
        ("(x)", '"(" outside quotes'),
        ("x)", '")" outside quotes'),
        ("-a\nrm", "a line break outside quotes (character 3)"),
        ("ends with \\", "a \\ at its end (character 11)"),
        ("it's", "a single quote that nothing closes (character 3)"),
        ('say "hello', "a double quote that nothing closes (character 5)"),
        ("$(date", "$( that nothing closes"),
        ("${HOME", "${ that nothing closes"),
        ("`date", "a backquote that nothing closes"),
        ("`date 'x`", "a command in backquotes with a single quote that nothing closes"),
        ("<<END", "<< outside quotes"),
        (">", "a redirection that names no file"),
        (">&x", 'a "&" before something that is no descriptor'),
    ],
)
def test_what_would_take_the_main_process_away_is_refused_with_its_place(job, arg, words):
    job.config_with(args=["--fine", arg])

    problem = job.problem()

    assert problem.startswith(f"args: argument 2 has {words}")
    assert problem.endswith('quote it, or use args_mode = "exec"')
    assert job.config_with(args_mode="exec").problems() == ()


@pytest.mark.parametrize("command", ["web & true", "# web", ">/tmp/log"])
def test_the_command_itself_is_judged_too(job, command):
    assert job.config_with(command=command).problem().startswith("command: it has ")


def test_a_refused_argument_is_not_repeated(job):
    assert "hunter2" not in job.config_with(args=["postgres://u:hunter2@db/x?a=1&b=2"]).problem()


@pytest.mark.parametrize(
    "arg",
    [
        "'a & b; c | (d)'", '"a & b; c | (d)"', "a\\&b", "2>&1", ">&2", ">|file", "<file", "$(a; b | c)", '"$(a ")" )"',
        "`a; b`", "${x:-;}", "\"${x:-it's}\"", "$((1 + (2 & 3)))", "a#b", "$#", "'a\nb'", '"a\nb"', "a\\\nb", "x\n",
        "it\\'s", "x\\ ",
    ],
)  # fmt: skip
def test_what_the_shell_reads_as_one_command_is_taken(job, arg):
    assert job.config_with(args=[arg]).problems() == ()


def test_a_comment_is_told(job):
    (warning,) = job.config_with(args=["-c", "#general", "-v"]).spec().warnings

    assert warning.startswith('args: argument 2 has "#" before a word (character 1), which begins a comment')


def test_an_images_own_command_is_judged_too(job):
    job.config_with(command=None)

    with pytest.raises(ConfigError, match=r'that of image web 1.0 has "&" outside quotes'):
        job.script("command.sh", "nginx & true")


@pytest.mark.parametrize("script", ["echo 'x", "$(x", "`x"])
def test_a_stop_command_that_no_shell_can_read_is_refused(job, script):
    assert job.config_with(exec_stop=script).problem().startswith("exec_stop: it has ")


@pytest.mark.parametrize("script", ["a; b && c &", "a\nb # it's", "for x in a; do b; done", "cat <<X\nit's\nX\n"])
def test_a_stop_command_may_be_a_script(job, script):
    assert job.config_with(exec_stop=script).problems() == ()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("lines")
    (directory / "app").write_text('#!/bin/sh\necho "$$" >&9\n')
    (directory / "app").chmod(0o755)
    return directory


@given(text=st.text(st.sampled_from(" \t'\"`\\#&;|<>()${}:-=a1"), max_size=14))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_shell_becomes_the_command_of_every_line_that_is_taken(place, text):
    if line.fault(f"./app {text}") is not None or "$'" in text:  # FreeBSD's sh knows $'...', others do not
        return
    (place / "start.sh").write_text(f"exec ./app {text}\necho taken away >&9\n")
    out = place / "out"
    with subprocess.Popen(
        ["/bin/sh", "-c", f"exec /bin/sh start.sh 9>{out}"],
        cwd=place,
        env={},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as child:
        _, errors = child.communicate()

    assert out.read_text() in {f"{child.pid}\n", ""}, errors
    assert out.read_text() or child.returncode, errors
    assert b"nterminated" not in errors
