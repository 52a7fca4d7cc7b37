"""pot's commands, one module each, named as the command with `_` for `-`.

Each has `run(pot, args) -> int`: its exit status; `Exit` where pot's own function would end the whole process.

Not here: what several commands share (`session`, `conf`, `zfs`, `status`, `jail`, ...).
"""
