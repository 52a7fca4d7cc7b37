"""What all tests share: which machines a test can run on, and that CI leaves none out.

Not here: fixtures of one room (see its own conftest).
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

# Before gRPC is imported: its fork handlers can hang a child that pot-sim forks in a process which has used gRPC.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"

# A machine may be busy: no example fails for having taken long.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

# A shell that runs the tests in the background ignores SIGINT, and so would every process of every test.
signal.signal(signal.SIGINT, signal.default_int_handler)

IN_CI = bool(os.environ.get("CI"))


@functools.cache
def why_no_namespaces() -> str:
    """Empty when this machine lets us make namespaces, as pot-sim does."""
    own_user = [] if os.getuid() == 0 else ["--user", "--map-root-user"]
    argv = ["unshare", *own_user, "--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "true"]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unshare (util-linux) is not installed"
    return f"no namespaces here: {done.stderr.strip()}" if done.returncode else ""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests first: at the end of a run no process waits for the one that has just begun a long one."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out what cannot run here, with the reason."""
    if item.get_closest_marker("namespaces") and why_no_namespaces():
        pytest.skip(why_no_namespaces())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI what was left out has failed: a machine without the means tests nothing."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.longrepr = f"left out in CI: {reason}"
    return report
