"""The keeper: a small detached shell per task that runs `pot start` and writes down how it ended.

The plugin may be killed, upgraded and relaunched while pots run, so nothing that a pot needs may live in it. The keeper
is not its child: every plugin process, the one that started the task or a later one, learns of the end in the same way,
from the end-of-file of the `alive` FIFO, and of the result from the `exit` record.

Rooms: `home` the task's private state directory; `launch` start a keeper, know that it lives; `record` what it wrote;
`logs` the descriptors that the app writes to; `keeper.sh` the keeper itself.

Not here: Nomad, gRPC, and what an exit means (see `exits`).
"""
