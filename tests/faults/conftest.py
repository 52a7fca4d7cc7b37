"""The same hosts as in the tests of a task's life.

Not here: what goes wrong on them.
"""

from tests.lifecycle.conftest import root, stage

__all__ = ["root", "stage"]
