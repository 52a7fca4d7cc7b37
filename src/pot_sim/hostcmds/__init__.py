"""FreeBSD's commands that a driver calls beside pot: the same options and output, about this root's jails.

Each is a module with a `main`, run by an executable in the root's `bin`.

Not here: measuring (`limits`), the record of jails (`registry`).
"""
