"""What can be written in a job's `config` block and in the agent's `plugin` block.

`tables` is the one list of options: the schemas, the decoding and the documentation come from it.
`values` are the frozen results, `decode` makes them from Nomad's msgpack.

Not here: what an option means for a pot (see `spec`), protobuf.
"""

from pot_driver.config.decode import decode_plugin, decode_task, read_task
from pot_driver.config.tables import PLUGIN_OPTIONS, TASK_OPTIONS, Block, Option
from pot_driver.config.values import (
    DownloadOptions,
    GcOptions,
    PluginConfig,
    ReconcilerOptions,
    Registry,
    TaskOptions,
    Timeouts,
    Volumes,
)

__all__ = [
    "PLUGIN_OPTIONS",
    "TASK_OPTIONS",
    "Block",
    "DownloadOptions",
    "GcOptions",
    "Option",
    "PluginConfig",
    "ReconcilerOptions",
    "Registry",
    "TaskOptions",
    "Timeouts",
    "Volumes",
    "decode_plugin",
    "decode_task",
    "read_task",
]
