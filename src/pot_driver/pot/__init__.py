"""Everything that knows pot: its command line, its output and files, and the one door to it.

Rooms: `command` arguments, `parse` output and files, `layout` where files lie, `prepared` a pot's files from outside,
`cli` running it, `kernel` what the kernel says of itself.

Not here: tasks, and what a job wants.
"""
