"""`pot-driver doctor`: what this host lacks for running pots. It reads, and changes nothing.

`look` gathers facts: files, and the answers of commands with fixed arguments and a time limit; `system`, `potrows` and
`agent` are pure and make a row of each thing that operators stumble over; `report` shows the rows.

Not here: what the plugin itself finds (its fingerprint, which is one of the rows).
"""
