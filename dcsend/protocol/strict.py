"""Strict JSON: one object, whose fields have exactly the right type and range.

`json.loads` alone accepts duplicate keys, NaN, integers of any size and any depth. All functions
raise RemoteProtocolError only. Independent of the messages.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from typing import NoReturn, TypeGuard

from dcsend.errors import RemoteProtocolError
from dcsend.protocol import limits

__all__ = ["Fields", "check_unknown", "dump", "parse"]


def dump(value: object) -> str:
    """Return JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def parse(text: str) -> dict[str, object]:
    """Read one JSON object of at most MAX_CONTROL bytes."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise RemoteProtocolError("control message is not valid Unicode") from None
    if size > limits.MAX_CONTROL:
        raise RemoteProtocolError(f"control message of {size} bytes is too long")
    try:
        values: object = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError):
        raise RemoteProtocolError("control message is not valid JSON") from None
    if not isinstance(values, dict):
        raise RemoteProtocolError("control message is not a JSON object")
    return values


def check_unknown(where: str, values: Mapping[str, object], known: Container[str]) -> None:
    """Refuse deep nesting in the fields that are not in *known*, which are otherwise ignored."""
    level = [value for key, value in values.items() if key not in known]
    for _ in range(limits.MAX_DEPTH):
        if not level:
            return
        level = [child for value in level for child in _children(value)]
    if level:
        raise RemoteProtocolError(f"{where} is nested too deeply")


class Fields:
    """The fields of one JSON object; each method validates type and range.

    Args:
        name: of the object, for error messages.
        values: the object.
    """

    __slots__ = ("_name", "_values")

    def __init__(self, name: str, values: dict[str, object]) -> None:
        self._name = name
        self._values = values

    def refuse(self, key: str, rule: str) -> NoReturn:
        """Raise RemoteProtocolError for a field."""
        raise RemoteProtocolError(f"{self._name}: {key} {rule}")

    def has(self, key: str) -> bool:
        """Return whether a field is there."""
        return key in self._values

    def integer(self, key: str, low: int, high: int) -> int:
        """Read an integer from *low* to *high*."""
        value = self._values.get(key)
        # `type`, not isinstance: true is not a number.
        if type(value) is not int or not low <= value <= high:
            self.refuse(key, f"is not an integer from {low} to {high}")
        return value

    def optional_integer(self, key: str, low: int, high: int) -> int | None:
        """Read an integer that may be null or missing."""
        return None if self._values.get(key) is None else self.integer(key, low, high)

    def optional_object(self, key: str) -> dict[str, object]:
        """Read an object; an empty one if it is null or missing."""
        value = self._values.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.refuse(key, "is not an object")
        return value

    def boolean(self, key: str) -> bool:
        """Read true or false."""
        value = self._values.get(key)
        if not isinstance(value, bool):
            self.refuse(key, "is not true or false")
        return value

    def text(self, key: str, longest: int) -> str:
        """Read text of at most *longest* code points."""
        value = self._values.get(key)
        if not _is_text(value, longest):
            self.refuse(key, f"is not text of at most {longest} code points")
        return value

    def lenient_text(self, key: str, fits: Callable[[str], bool]) -> str:
        """Read a text for which *fits* is true; empty for anything else."""
        value = self._values.get(key)
        return value if isinstance(value, str) and fits(value) else ""

    def texts(self, key: str, most: int, longest: int) -> tuple[str, ...]:
        """Read an array of at most *most* texts of at most *longest* code points."""
        result: list[str] = []
        for value in self.array(key, most):
            if not _is_text(value, longest):
                self.refuse(key, f"contains something that is not text of {longest} code points")
            result.append(value)
        return tuple(result)

    def choice(self, key: str, choices: Collection[str]) -> str:
        """Read one of *choices*."""
        value = self._values.get(key)
        if not isinstance(value, str) or value not in choices:
            self.refuse(key, f"is not one of {', '.join(choices)}")
        return value

    def reason(self, key: str, known: Collection[str], otherwise: str) -> str:
        """Read one of *known*; *otherwise* for another text, which a later version may define."""
        value = self.text(key, limits.MAX_REASON)
        return value if value in known else otherwise

    def array(self, key: str, longest: int) -> list[object]:
        """Read an array of at most *longest* values, which the caller validates."""
        value = self._values.get(key)
        if not isinstance(value, list) or len(value) > longest:
            self.refuse(key, f"is not an array of at most {longest} values")
        return value

    def optional_array(self, key: str, longest: int) -> list[object]:
        """Read an array as `array`; empty if it is missing."""
        return self.array(key, longest) if key in self._values else []

    def pairs(self, key: str) -> Iterator[tuple[int, object]]:
        """Read [[entry number, value], …]; the caller validates the values."""
        for item in self.array(key, limits.MAX_CONTROL):
            if not isinstance(item, list) or len(item) != 2:
                self.refuse(key, "contains something that is not a pair")
            number, value = item
            if type(number) is not int or not 0 <= number < limits.MAX_ENTRIES:
                self.refuse(key, "contains a number that no entry can have")
            yield number, value

    def reasons_by_number(
        self, key: str, known: Sequence[str], otherwise: str
    ) -> tuple[tuple[int, str], ...]:
        """Read [[entry number, reason], …]; *otherwise* replaces each that is not in *known*."""
        result: list[tuple[int, str]] = []
        for number, value in self.pairs(key):
            if not _is_text(value, limits.MAX_REASON):
                self.refuse(
                    key, f"contains a reason that is not text of {limits.MAX_REASON} code points"
                )
            result.append((number, value if value in known else otherwise))
        return tuple(result)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("duplicate key")
    return values


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _children(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _is_text(value: object, longest: int) -> TypeGuard[str]:
    """Whether *value* is text of at most *longest* code points, without lone surrogates."""
    if not isinstance(value, str) or len(value) > longest:
        return False
    try:
        return value.isascii() or bool(value.encode())
    except UnicodeEncodeError:
        return False
