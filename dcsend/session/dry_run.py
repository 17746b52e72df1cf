"""Dry runs: what would be transferred, by an offer or by the plan of a receiver."""

from __future__ import annotations

from collections import Counter

from dcsend.entry import Existing, Kind
from dcsend.errors import DcsendError
from dcsend.files.sink import Plan
from dcsend.session.events import ManifestKnown, Planned, total_size

__all__ = ["DryRun", "planned", "would_send"]


class DryRun(DcsendError):
    """The end of a receiver's dry run, which is no failure."""

    kind = "dry-run"


def would_send(offer: ManifestKnown) -> Planned:
    """Return what a sender would send, if everything is accepted."""
    return Planned(sum(kind is not Kind.DIRECTORY for kind in offer.kinds()), offer.bytes)


def planned(offer: ManifestKnown, plan: Plan, existing: Existing, free: int | None) -> Planned:
    """Return what a receiver would receive.

    Args:
        offer: of the sender.
        plan: for it.
        existing: the policy for existing files.
        free: bytes at the destination.
    """
    skip, have = plan.skip, plan.have
    files = sum(
        kind is not Kind.DIRECTORY and number not in skip
        for number, kind in enumerate(offer.kinds())
    )
    total = total_size(offer.entries, skip)
    compared = sum(file.size for file in plan.present.values())
    replaced = sum(number not in skip for number in plan.taken)
    return Planned(
        files,
        None if total is None else total - sum(have.values()),
        overwritten=replaced if existing is Existing.OVERWRITE else 0,
        renamed=replaced if existing is Existing.RENAME else 0,
        skipped=Counter(skip.values()),
        resumed=sum(have.values()) - compared,
        compared=compared,
        free=free,
        refusal=plan.refusal,
    )
