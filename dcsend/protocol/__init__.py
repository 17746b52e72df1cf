"""The protocol, sans-I/O: messages and frames, and both sides as state machines.

PROTOCOL.md is its contract. Imports only the standard library and leaves; uses no network, no file
system and no clock.
"""

from __future__ import annotations
