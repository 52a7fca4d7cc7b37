"""The use cases: what each of Nomad's calls means for a task and its pot.

Rooms: `driver` the door, one method per call; `lives` what happens to a task from its start to its removal, `works`
that it is carried through; `host` what they all work with; `start`, `stop`, `undo` the ways in and out, each a list of
steps, and `steps` how one of a start is run; `scripts` the task's files; `ends` how the end of a pot is learned, at
once or after a plugin's death; `reconcile` the net below.

Not here: gRPC, argv, processes.
"""

from pot_driver.driver.driver import PotDriver

__all__ = ["PotDriver"]
