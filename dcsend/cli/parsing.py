"""Parsing of option values, and contradictions between options."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dcsend.entry import Existing
from dcsend.errors import UsageError
from dcsend.settings import Signal

__all__ = ["by_descriptions", "one_of", "parse_duration", "parse_size", "parse_times"]

_UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_SIZES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_LONGEST = 30 * 86400
"Seconds, the validity of the certificate."


def parse_duration(text: str, *, zero: bool = False) -> float:
    """Return the seconds in a duration such as `90s`, `10m` or `2d`; 0 is one if *zero*.

    Raises:
        UsageError: *text* is not a duration, or not between 1 s and 30 days.

    >>> parse_duration("90"), parse_duration("10m"), parse_duration("1.5h")
    (90.0, 600.0, 5400.0)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d|)", text.strip().lower(), re.ASCII)
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not (1 <= seconds <= _LONGEST or (zero and match and not seconds)):
        raise UsageError(f"{text!r} is not a time", "write 90s, 10m, 1h or 2d; at most 30d")
    return seconds


def parse_size(text: str) -> int:
    """Return the bytes of a size such as `500M` or `1.5G`; decimal, as `--limit-rate`.

    Raises:
        UsageError: *text* is not a size.

    >>> parse_size("10G"), parse_size("1.5k"), parse_size("0")
    (10000000000, 1500, 0)
    """
    plain = text.strip().lower().removesuffix("b")
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,12})?)\s*([kmgt]?)", plain, re.ASCII)
    if not match:
        raise UsageError(f"{text!r} is not a size", "write bytes, 500M, 10G or 1T")
    return int(float(match[1]) * _SIZES[match[2]])


def parse_times(text: str) -> int | None:
    """Return a number of receivers; None for `any`.

    Raises:
        UsageError: *text* is neither.

    >>> parse_times("3"), parse_times("any")
    (3, None)
    """
    if text.strip().lower() == "any":
        return None
    if not re.fullmatch(r"[1-9]\d{0,8}", text.strip(), re.ASCII):
        raise UsageError(f"{text!r} is not a number of receivers", "write a number, or any")
    return int(text)


def by_descriptions(way: Signal, code: str) -> bool:
    """Return whether an offer and an answer are exchanged; False if *code* is yet to be read."""
    if way is Signal.SDP or not code:
        return way is Signal.SDP
    from dcsend.signaling.blob import is_blob  # a listener does not need it

    return is_blob(code)


def one_of(chosen: Mapping[Existing, bool]) -> Existing:
    """Return the chosen policy for existing files, or the default.

    Raises:
        UsageError: more than one is chosen.
    """
    wanted = [policy for policy, on in chosen.items() if on]
    if len(wanted) > 1:
        names = " and ".join(f"--{policy}" for policy in wanted)
        raise UsageError(f"{names} contradict each other", "choose one of them")
    return wanted[0] if wanted else Existing.REFUSE
