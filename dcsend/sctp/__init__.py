"""SCTP over DTLS and WebRTC data channels, without input, output or a clock: docs/sctp.md.

The public API is what `__all__` lists. Each name is imported when it is used first: if this module
imported the others, two threads that import different ones could wait for each other.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dcsend.sctp.association import Association
    from dcsend.sctp.bbr import Bbr
    from dcsend.sctp.channels import ChannelParameters, ChannelState, DataChannel, DataChannels
    from dcsend.sctp.controller import Acknowledgement, Controller, MakeController
    from dcsend.sctp.events import Ended, Established, Event, Message, Reset
    from dcsend.sctp.options import Options
    from dcsend.sctp.probing import payloads
    from dcsend.sctp.queue import RELIABLE, Reliability
    from dcsend.sctp.reassembly import Limits, Violation
    from dcsend.sctp.states import State

__all__ = [
    "RELIABLE",
    "Acknowledgement",
    "Association",
    "Bbr",
    "ChannelParameters",
    "ChannelState",
    "Controller",
    "DataChannel",
    "DataChannels",
    "Ended",
    "Established",
    "Event",
    "Limits",
    "MakeController",
    "Message",
    "Options",
    "Reliability",
    "Reset",
    "State",
    "Violation",
    "payloads",
]

_MODULES = {
    "association": ("Association",),
    "bbr": ("Bbr",),
    "channels": ("ChannelParameters", "ChannelState", "DataChannel", "DataChannels"),
    "controller": ("Acknowledgement", "Controller", "MakeController"),
    "events": ("Ended", "Established", "Event", "Message", "Reset"),
    "options": ("Options",),
    "probing": ("payloads",),
    "queue": ("RELIABLE", "Reliability"),
    "reassembly": ("Limits", "Violation"),
    "states": ("State",),
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the module has objects of many types
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
