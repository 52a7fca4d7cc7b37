"""Nomad task driver for FreeBSD pot jails.

Not here: anything but the version, which is stated once, in a form that both Python's packages (PEP 440) and Nomad
(hashicorp/go-version) take: Nomad refuses to start on a version that it cannot parse.
"""

__version__ = "0.12.0"
