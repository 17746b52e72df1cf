"""The manifest as a whole: its limits; division of long messages.

Must not import asyncio, files or peers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from dcsend.entry import NOTHING, Entry, LeftOut
from dcsend.errors import UsageError
from dcsend.listing import Entries
from dcsend.protocol import limits
from dcsend.protocol.messages import Accept, Manifest, Verdict, encode

__all__ = [
    *("LIMITS", "ManifestLimits", "check_offer", "encode_manifest", "manifest_fault"),
    *("split_accept", "split_manifest", "split_verdict"),
]


@dataclass(frozen=True, slots=True)
class ManifestLimits:
    """The limits of a manifest; see `limits` for each."""

    entries: int = limits.MAX_ENTRIES
    size: int = limits.MAX_MANIFEST
    names: int = limits.MAX_NAMES
    names_per_entry: int = limits.NAMES_PER_ENTRY


LIMITS: Final = ManifestLimits()


def manifest_fault(entries: Entries, start: int = 0, most: ManifestLimits = LIMITS) -> str:
    """Return what is wrong with the entries of a manifest that have arrived; "" if nothing is.

    Args:
        entries: all that have arrived.
        start: how many of them were validated before.
        most: the limits.
    """
    if len(entries) > most.entries:
        return f"manifest has more than {most.entries} entries"
    if entries.names <= most.names + start * most.names_per_entry:
        return ""
    for number in range(start + 1, len(entries) + 1):
        if entries.names_before(number) > most.names + number * most.names_per_entry:
            return (
                f"manifest has names of more than {most.names} bytes "
                f"and {most.names_per_entry} for each entry"
            )
    return ""


def check_offer(entries: Sequence[Entry], most: ManifestLimits = LIMITS) -> None:
    """Validate the limits of an offer.

    Raises:
        UsageError: there are too many entries, or their names are too long together.
    """
    hint = "send it in parts, or as one archive"
    if len(entries) > most.entries:
        raise UsageError(
            f"{len(entries)} entries are more than the {most.entries} of one transfer", hint
        )
    room, names = most.names, 0
    for entry in entries:
        room += most.names_per_entry
        names += len(entry.path.encode("utf-8", "surrogatepass"))
        names += len(entry.target.encode("utf-8", "surrogatepass"))
        if names > room:
            raise UsageError(
                f"the paths of {len(entries)} entries are longer together than one transfer takes",
                hint,
            )


def encode_manifest(entries: Sequence[Entry], left_out: LeftOut = NOTHING) -> list[str]:
    """Return the Manifest messages of all entries; takes 4 to 9 µs for each entry.

    Raises:
        LocalProtocolError: an entry contains something that a peer must refuse.
    """
    return [encode(part) for part in split_manifest(entries, left_out)]


def split_manifest(entries: Iterable[Entry], left_out: LeftOut = NOTHING) -> Iterator[Manifest]:
    """Divide all entries into messages of at most 48 KiB, or of one entry that is longer."""
    part: list[Entry] = []
    room = limits.SPLIT_CONTROL
    for entry in entries:
        cost = _most_bytes(entry)
        if part and cost > room:
            yield Manifest(tuple(part), last=False)
            part, room = [], limits.SPLIT_CONTROL
        part.append(entry)
        room -= cost
    yield Manifest(tuple(part), True, left_out)


def _most_bytes(entry: Entry) -> int:
    """Return an upper bound of the bytes of an entry in a message, without encoding it."""
    names = entry.path + entry.target
    size = len(names.encode("utf-8", "surrogatepass"))
    # Visible characters take at most a backslash more, others become \\u0000.
    return 160 + size * (2 if names.isprintable() else 6)


def split_accept(
    window: int,
    skip: Mapping[int, str],
    have: Mapping[int, int],
    digests: Sequence[tuple[int, int, str]] = (),
) -> Iterator[Accept]:
    """Divide the answer to an offer into messages of at most 1000 pairs and 256 digests."""
    of: dict[int, list[tuple[int, int, str]]] = {}
    for digest in digests:
        of.setdefault(digest[0], []).append(digest)
    skips, haves = iter(skip.items()), iter(have.items())
    left = len(skip) + len(have)
    most = max(1, limits.MAX_DIGESTS // max(map(len, of.values()), default=1))
    while True:
        skip_part = tuple(islice(skips, limits.PAIRS_PER_MESSAGE))
        room = limits.PAIRS_PER_MESSAGE - len(skip_part)
        have_part = tuple(islice(haves, min(room, most) if of else room))
        digest_part = tuple(digest for number, _ in have_part for digest in of.get(number, ()))
        left -= len(skip_part) + len(have_part)
        yield Accept(window, skip_part, have_part, not left, digest_part)
        if not left:
            return


def split_verdict(files: Sequence[tuple[int, str]]) -> Iterator[Verdict]:
    """Divide verdicts into messages of at most 1000 pairs."""
    for start in range(0, len(files), limits.PAIRS_PER_MESSAGE):
        yield Verdict(tuple(files[start : start + limits.PAIRS_PER_MESSAGE]))
