"""Files on this machine: listing and reading what is sent, validating and writing what is received.

Blocking code that runs in threads; no asyncio. Imports nothing of dcsend but leaf modules.
"""

from __future__ import annotations
