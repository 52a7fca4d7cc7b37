"""The functions of HCL's expressions that job files may use here, and how values become text.

Not here: reading HCL (see `hcl`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from pot_driver.errors import ConfigError

_VERB = re.compile(r"%([-+ 0#]*\d*(?:\.\d+)?)(.)")


def text_of(value: object) -> str:
    """A primitive as HCL writes it into a string."""
    match value:
        case bool():
            return "true" if value else "false"
        case Decimal():
            return format(value.normalize(), "f")
        case str() | int():
            return str(value)
    raise ConfigError([f"{value!r} cannot be part of a string"])


def _format(text: str, values: Sequence[object]) -> str:
    left = list(values)

    def one(found: re.Match[str]) -> str:
        flags, verb = found.groups()
        if verb == "%":
            return "%"
        if verb not in "svdfx" or not left:
            raise ValueError(f"nothing to write for {found[0]}")
        value = left.pop(0)
        return f"%{flags}s" % text_of(value) if verb in "sv" else f"%{flags}{verb}" % value

    return _VERB.sub(one, text)


FUNCTIONS: Mapping[str, Callable[..., object]] = {
    "concat": lambda *lists: [item for one in lists for item in one],
    "format": lambda text, *values: _format(text, values),
    "join": lambda separator, items: separator.join(text_of(item) for item in items),
    "jsonencode": lambda value: json.dumps(value, default=float, separators=(",", ":")),
    "lower": str.lower,
    "merge": lambda *maps: {key: item for one in maps for key, item in one.items()},
    "trimspace": str.strip,
    "upper": str.upper,
}
