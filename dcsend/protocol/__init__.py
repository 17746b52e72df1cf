"""The protocol, sans-I/O: messages and frames, and both sides as state machines.

PROTOCOL.md is its contract. Imports only the standard library, dcsend.errors,
dcsend.entry and dcsend.printable; knows no engine, no file system, no clock.
"""

from __future__ import annotations
