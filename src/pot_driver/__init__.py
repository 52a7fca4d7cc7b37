"""Nomad task driver for FreeBSD pot jails.

Not here: anything but the version, which is stated once, in hashicorp/go-version syntax
(`0.11.0`, `0.11.0-dev`), because Nomad refuses to start on a version that it cannot parse.
"""

__version__ = "0.11.0-dev"
