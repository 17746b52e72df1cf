"""The congestion controllers by name.

`bbr` is what dcsend uses; `cubic` and `reno` are what others use, to measure beside and to be
fair to.
"""

from __future__ import annotations

from dcsend.sctp.bbr import Bbr
from dcsend.sctp.controller import Acknowledgement, Controller
from dcsend.sctp.cubic import Cubic
from dcsend.sctp.reno import Reno

__all__ = ["Acknowledgement", "Controller", "make_controller"]


def make_controller(name: str, payload: int, now: float) -> Controller:
    """Return a controller for a new association.

    Args:
        name: `bbr`, `cubic` or `reno`.
        payload: of a packet, in bytes.
        now: in seconds, by the clock that all later times are of.

    Raises:
        ValueError: there is none of that name.

    >>> make_controller("bbr", 1200, now=0.0).window
    12000
    """
    match name:
        case "bbr":
            return Bbr(payload, now)
        case "cubic":
            return Cubic(payload, now)
        case "reno":
            return Reno(payload, now)
    raise ValueError(f"no congestion controller is called {name}")
