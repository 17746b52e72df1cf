"""Entries of a manifest, and the counts of what it leaves out: read from and written to JSON.

Must not import asyncio, files or peers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dcsend.entry import Entry, Kind, LeftOut
from dcsend.errors import RemoteProtocolError
from dcsend.protocol import limits
from dcsend.protocol.strict import Fields, check_unknown

__all__ = ["entry_fields", "read_entry", "read_left_out"]

_ENTRY_FIELDS: Final = frozenset(("path", "kind", "size", "mode", "mtime", "target", "stored"))

_KINDS: Final[Mapping[str, Kind]] = {kind.value: kind for kind in Kind}

_LARGEST: Final[Mapping[str, int]] = {
    "file": limits.MAX_SAFE,
    "directory": 0,
    "link": 0,
    "text": limits.MAX_TEXT_ENTRY,
}


def read_entry(values: object) -> Entry:
    """Read an entry.

    Args:
        values: an item of the array of entries, any JSON value.

    Raises:
        RemoteProtocolError: it breaks a rule of PROTOCOL.md.
    """
    if not isinstance(values, dict):
        raise RemoteProtocolError("manifest: an entry is not an object")
    fields = Fields("entry", values)
    if not values.keys() <= _ENTRY_FIELDS:
        check_unknown("entry", values, _ENTRY_FIELDS)
    kind = fields.choice("kind", _KINDS)
    size = fields.optional_integer("size", 0, _LARGEST[kind])
    if "size" not in values or (size is None and kind != Kind.FILE):
        fields.refuse("size", f"is missing in a {kind}")
    target = fields.text("target", limits.MAX_PATH) if "target" in values else ""
    if (target != "") != (kind == Kind.LINK):
        fields.refuse("target", f"doesn't fit a {kind}")
    path = fields.text("path", limits.MAX_PATH)
    if not path:
        fields.refuse("path", "is empty")
    mode = fields.optional_integer("mode", 0, limits.MAX_MODE)
    if mode is None:
        mode = 0o755 if kind == Kind.DIRECTORY else 0o644
    mtime = fields.optional_integer("mtime", -limits.MAX_SAFE, limits.MAX_SAFE)
    stored = fields.optional_integer("stored", 0, limits.MAX_SAFE)
    return Entry(path, _KINDS[kind], size, mode, mtime, target, stored)


def read_left_out(manifest: Fields) -> LeftOut:
    """Read the counts of what is not offered from a Manifest message; all 0 if they are missing.

    Raises:
        RemoteProtocolError: it breaks a rule of PROTOCOL.md.
    """
    fields = Fields("left_out", manifest.optional_object("left_out"))
    return LeftOut(
        *(fields.optional_integer(kind, 0, limits.MAX_SAFE) or 0 for kind in LeftOut._fields)
    )


def entry_fields(entry: Entry) -> dict[str, object]:
    """Return the JSON form of an entry, without the fields that it does not have."""
    fields: dict[str, object] = {
        "path": entry.path,
        "kind": entry.kind,
        "size": entry.size,
        "mode": entry.mode,
    }
    if entry.mtime is not None:
        fields["mtime"] = entry.mtime
    if entry.target:
        fields["target"] = entry.target
    if entry.stored is not None:
        fields["stored"] = entry.stored
    return fields
