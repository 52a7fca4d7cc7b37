"""Environment and arguments arrive byte for byte, through a real shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pot_driver.plan import task_files
from pot_driver.pot.parse import PotConf

NASTY = st.text(st.sampled_from(" \t\n'\"$`\\#*?;&|<>(){}[]~!%=-äß漢a1"), max_size=30)
TEXT = NASTY | st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=30)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True).filter(
    lambda name: name not in {"PATH", "IFS", "OPTIND", "PWD", "OLDPWD", "_", "SHLVL", "PPID", "RANDOM", "SECONDS"}
)
SHELLS = [path for name in ("sh", "dash", "mksh", "yash") if (path := shutil.which(name))]
DUMP = (
    "import os,sys;w=[b'%d'%len(sys.argv[1:])]+[os.fsencode(a) for a in sys.argv[1:]];"
    "sys.stdout.buffer.write(b'\\0'.join(w+[b'%s=%s'%i for i in os.environb.items()]))"
)


def run(job, directory: Path, script: str = "start.sh", *, arguments: tuple[str, ...] = (), shell: str = "/bin/sh"):
    """Run a script of the task as its pot would, but with its files here."""
    for name in ("env.sh", "command.sh", "with-env.sh", script):
        text = job.script(name).replace("/.pot-driver", str(directory))
        (directory / name).write_bytes(text.encode())
    return subprocess.run(
        [shell, str(directory / script), *arguments],
        env={"PATH": os.defpath},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


def dumped(stdout: bytes) -> tuple[list[str], dict[str, str]]:
    count, *rest = stdout.decode().split("\0")
    pairs = (item.partition("=") for item in rest[int(count) :])
    return rest[: int(count)], {name: value for name, _, value in pairs}


@given(st.dictionaries(NAMES, TEXT, max_size=6), st.lists(TEXT, max_size=4))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_environment_and_arguments_arrive_byte_for_byte(job, tmp_path, env, args):
    job.task_with(env=env).config_with(command=sys.executable, args=["-c", DUMP, *args], args_mode="exec")

    done = run(job, tmp_path)

    words, variables = dumped(done.stdout)
    assert done.returncode == 0, done.stderr
    assert words == args
    assert {name: variables.get(name) for name in env} == env


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", ["env.sh", "start.sh", "exec.sh"])
def test_every_posix_shell_reads_the_scripts(job, tmp_path, shell, name):
    env = {"A": 'it\'s "$HOME" `id` \\n \n\nend\n', "B": "", "LONG": "x'" * 51_200}
    job.task_with(env=env).config_with(command=shutil.which("env"), args_mode="exec")
    arguments = () if name == "start.sh" else (sys.executable, "-c", DUMP)
    if name == "env.sh":
        done = run(job, tmp_path, "start.sh", shell=shell)
        assert b"A=it's" in done.stdout
        return
    done = run(job, tmp_path, name, arguments=arguments, shell=shell)

    assert done.returncode == 0, done.stderr
    assert f"LONG={env['LONG']}".encode() in done.stdout
    assert b'A=it\'s "$HOME" `id` \\n \n\nend\n' in done.stdout


@pytest.mark.parametrize(
    ("command", "args", "words"),
    [
        ("nginx", ["-g", "'daemon off;'"], ["-g", "daemon off;"]),
        ("nginx", [" -g 'daemon off;'"], ["-g", "daemon off;"]),
        ("nginx -g 'daemon off;'", [], ["-g", "daemon off;"]),
        (
            "minio",
            ["server", "--config-dir /usr/local/etc/minio", "/minio"],
            ["server", "--config-dir", "/usr/local/etc/minio", "/minio"],
        ),
        ("cook", ["-a", '"40 23 * * 6"'], ["-a", "40 23 * * 6"]),
        ("cook", ["'mx2.example1.com ESMTP \\$mail_name'"], ["mx2.example1.com ESMTP \\$mail_name"]),
        ("cook", [""], []),
        ("cook ", [], []),
        ("cook", ["-n", "$WHO"], ["-n", "it's", "me"]),
        ("cook", ["-n", '"$WHO"'], ["-n", "it's me"]),
        ("cook", ["a\n"], ["a"]),
        ("cook", ["'two\nlines'"], ["two\nlines"]),
    ],
)
def test_in_shell_mode_the_pots_shell_reads_the_line(job, tmp_path, command, args, words):
    program, rest = (command + " ").split(" ", 1)
    fake = tmp_path / program
    fake.write_text('#!/bin/sh\nfor word; do printf "%s\\0" "$word"; done\n')
    fake.chmod(0o755)
    job.task_with(env={"WHO": "it's me"}).config_with(command=f"{fake} {rest}", args=args)

    done = run(job, tmp_path)

    assert done.returncode == 0, done.stderr
    assert [word.decode() for word in done.stdout.split(b"\0")[:-1]] == words


def test_exec_mode_passes_each_argument_untouched(job, tmp_path):
    job.config_with(command="/usr/bin/printf", args=["%s|", "a b", "$HOME", "'", ""], args_mode="exec")

    assert run(job, tmp_path).stdout == b"a b|$HOME|'||"


def test_the_script_becomes_the_command_with_the_same_pid(job, tmp_path):
    job.config_with(command="/bin/sh", args=["-c", "'echo $$ $PPID'"])
    for name in ("env.sh", "command.sh", "start.sh"):
        (tmp_path / name).write_text(job.script(name).replace("/.pot-driver", str(tmp_path)))

    with subprocess.Popen(["/bin/sh", str(tmp_path / "start.sh")], stdout=subprocess.PIPE) as child:
        out, _ = child.communicate()

    assert int(out.split()[0]) == child.pid


def test_the_script_marks_that_it_ran_even_if_the_command_is_missing(job, tmp_path):
    job.config_with(command="/nonexistent/app")

    run(job, tmp_path)
    done = subprocess.run(["/bin/sh", "-c", f"sh {tmp_path}/start.sh 5>{tmp_path}/mark"], check=False)

    assert done.returncode == 127
    assert (tmp_path / "mark").read_text() == "\n"


def test_the_log_descriptors_are_taken_when_they_are_there(job, tmp_path):
    job.config_with(command="/bin/sh", args=["-c", "'echo out; echo err >&2'"])
    run(job, tmp_path)
    out, err = tmp_path / "out", tmp_path / "err"

    done = subprocess.run(
        ["/bin/sh", "-c", f"exec sh {tmp_path}/start.sh 3>{out} 4>{err}"], capture_output=True, check=True
    )

    assert (out.read_text(), err.read_text(), done.stdout) == ("out\n", "err\n", b"")


def test_arguments_without_a_command_are_refused(job):
    job.config_with(command=None, args=["-x"])

    assert job.problem() == "command: command can not be empty if arguments are provided"


def test_without_a_command_the_images_own_runs(job):
    job.config_with(command=None)

    assert job.script("command.sh", "nginx -g 'daemon off;'").endswith("\nexec nginx -g 'daemon off;'\n")


def test_names_that_no_shell_can_export_are_dropped_and_told(job):
    env = {"my.key": "1", "BASH_FUNC_x%%": "() { :; }", "1st": "x", "OK": "1", "": "x", "OPTIND": "abc"}

    spec = job.task_with(env=env).spec()

    assert spec.dropped_env == ("", "1st", "BASH_FUNC_x%%", "OPTIND", "my.key")
    assert spec.environment.variables == {"OK": "1"}


@given(st.dictionaries(st.text(), st.text()))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_variable_is_either_there_or_reported(job, env):
    spec = job.task_with(env=env).spec()

    assert {*spec.environment.variables, *spec.dropped_env} == set(env)


def test_no_value_of_the_environment_is_in_any_pot_command(job):
    job.task_with(env={"TOKEN": "s3cr3t"}).config_with(args=["--password", "hunter2"])

    words = [word for step in job.plan().commands for word in (*step.argv, step.reason)]

    assert not any("s3cr3t" in word or "hunter2" in word for word in words)


def test_only_what_reads_the_environment_is_for_the_tasks_user(job):
    files = task_files(job.config_with(exec_stop="x").spec(), None, (), PotConf())

    assert {file.name for file in files if not file.of_user} == {"start.sh", "exec.sh", "stop.sh"}
    assert not any(b"/env.sh" in file.content for file in files if not file.of_user)
