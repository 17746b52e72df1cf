"""Files on this machine: list them, read them, write them where a peer says.

Blocking code, to be run in threads; no asyncio. Imports nothing of dcsend but
`errors`, `entry` and `printable`.
"""

from __future__ import annotations
