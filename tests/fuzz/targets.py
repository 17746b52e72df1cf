"""The targets: each parser of bytes from an unauthenticated source, by name.

A target takes any bytes. It fails with an exception that its parser does not document, with an
AssertionError for a violated invariant, and if one input takes too long.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping
from typing import Final

__all__ = ["TARGETS", "load", "timed"]

LONGEST: Final = 2.0
"""Seconds of processor time for one input of up to 4000 bytes. Under the fuzzer, which counts what
is reached, everything takes several times as long."""

TARGETS: Final[Mapping[str, str]] = {
    "sctp": "tests.fuzz.associations:run",
    "codes": "tests.fuzz.texts:codes",
    "descriptions": "tests.fuzz.texts:descriptions",
    "sdp": "tests.fuzz.texts:sdp",
    "servers": "tests.fuzz.texts:servers",
    "credentials": "tests.fuzz.texts:credentials",
    "message": "tests.fuzz.texts:message",
    "frame": "tests.fuzz.texts:frame",
    "names": "tests.fuzz.texts:names",
    "shown": "tests.fuzz.texts:shown",
    "journal": "tests.fuzz.texts:journal",
    "receiver": "tests.fuzz.transfers:receiver",
    "sender": "tests.fuzz.transfers:sender",
    "stun": "tests.fuzz.datagrams:messages",
    "listener": "tests.fuzz.datagrams:listener",
    "answers": "tests.fuzz.datagrams:answers",
    "records": "tests.fuzz.datagrams:records",
    "requests": "tests.fuzz.requests:request",
    "mailbox": "tests.fuzz.mailboxes:client",
    "localmailbox": "tests.fuzz.mailboxes:local",
    "typed": "tests.fuzz.texts:typed",
    "neighbours": "tests.fuzz.neighbours:responses",
    "items": "tests.fuzz.shortcodes:items",
    "allocator": "tests.fuzz.shortcodes:allocator",
    "joiner": "tests.fuzz.shortcodes:joiner",
    "again": "tests.fuzz.mailboxes:again",
    "attempt": "tests.fuzz.shortcodes:attempt",
}
"Name -> module:function; the module is imported when its target is used."


def load(name: str) -> Callable[[bytes], None]:
    """Return a target."""
    module, _, function = TARGETS[name].partition(":")
    target: Callable[[bytes], None] = getattr(importlib.import_module(module), function)
    return target


def timed(target: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Return the target with a limit to the processor time of one input."""

    def run(data: bytes) -> None:
        start = time.process_time()
        target(data)
        taken = time.process_time() - start
        assert taken < LONGEST, f"{taken:.1f} s for {len(data)} bytes"

    return run
