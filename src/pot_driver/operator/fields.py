"""An object of Nomad's API form, its fields read with their types: what does not fit is a problem, by name and place.

Not here: which fields there are and what they mean (see `jobfile`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

from pot_driver.errors import ConfigError
from pot_driver.operator.hclfunctions import text_of
from pot_driver.operator.hcljob import word

if TYPE_CHECKING:
    from collections.abc import Iterator

Value = TypeVar("Value")

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?(ns|us|µs|ms|s|m|h))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")


class Fields:
    """`where` begins each problem; all objects that come from one share its list of problems."""

    def __init__(self, api: object, where: str, problems: list[str]) -> None:
        self.where = where
        self.problems = problems
        self._api: Mapping[str, object] = {}
        if isinstance(api, Mapping):
            self._api = api
        elif api is not None:
            problems.append(f"{where}: {_shown(api)} is not a block")

    def __iter__(self) -> Iterator[str]:
        """The fields that say something."""
        return (key for key, value in self._api.items() if value)

    def __contains__(self, key: str) -> bool:
        return bool(self._api.get(key))

    def problem(self, text: str) -> None:
        """Something is wrong here."""
        self.problems.append(f"{self.where}: {text}")

    def at(self, where: str) -> Fields:
        """The same object, with a place of its own."""
        return Fields(self._api, where, self.problems)

    def text(self, key: str) -> str:
        """A string; empty when unset."""
        return self._primitive(word(key), self._api.get(key))

    def integer(self, key: str) -> int:
        """A whole number; 0 when unset."""
        value = self._api.get(key)
        match value:
            case None | "":
                return 0
            case bool():
                pass
            case int():
                return value
            case str() if value.lstrip("-").isdecimal():
                return int(value)
        return self._unfit(word(key), value, "a whole number", 0)

    def flag(self, key: str) -> bool:
        """True or false; false when unset."""
        value = self._api.get(key)
        if isinstance(value, bool):
            return value
        if value is None or value in ("", "true", "false"):
            return value == "true"
        return self._unfit(word(key), value, "true or false", default=False)

    def seconds(self, key: str, default: float) -> float:
        """Nanoseconds, or Go's duration text ("1m30s")."""
        value = self._api.get(key)
        match value:
            case None:
                return default
            case str() if _DURATION.fullmatch(value):
                return sum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(value))
            case int() if not isinstance(value, bool):
                return value * 1e-9
        return self._unfit(word(key), value, 'a duration like "30s" or "1m30s"', default)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        return tuple(self._primitive(word(key), item) for item in self._list(key))

    def strings(self, key: str) -> Mapping[str, str]:
        """Strings by name, without those that are null."""
        given = self.mapping(key)
        return {name: self._primitive(f"{word(key)}.{name}", item) for name, item in given.items() if item is not None}

    def mapping(self, key: str) -> Mapping[str, object]:
        """Anything by name."""
        value = self._api.get(key)
        if value is None or isinstance(value, Mapping):
            return value or {}
        return self._unfit(word(key), value, "a block", {})

    def block(self, key: str) -> Fields:
        """An object of its own."""
        return Fields(self._api.get(key), f"{self.where}: {word(key)}", self.problems)

    def blocks(self, key: str) -> list[Fields]:
        """A list of objects, each in this one's place until it is `at` one of its own."""
        found = []
        for item in self._list(key):
            if isinstance(item, Mapping):
                found.append(Fields(item, self.where, self.problems))
            else:
                self._unfit(word(key), item, "a block", None)
        return found

    def _list(self, key: str) -> list[object]:
        value = self._api.get(key)
        if value is None or isinstance(value, list):
            return value or []
        return self._unfit(word(key), value, "a list", [])

    def _primitive(self, name: str, value: object) -> str:
        try:
            return "" if value is None else text_of(value)
        except ConfigError:
            return self._unfit(name, value, "a string", "")

    def _unfit(self, name: str, value: object, what: str, default: Value) -> Value:
        self.problem(f"{name}: {_shown(value)} is not {what}")
        return default


def _shown(value: object) -> str:
    if isinstance(value, (str, bool, int, Decimal)):
        return f'"{value}"' if isinstance(value, str) else text_of(value)
    return repr(value)
