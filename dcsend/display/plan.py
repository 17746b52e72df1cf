"""The result of a dry run, as lines for a person."""

from __future__ import annotations

import itertools
from typing import Final

from dcsend.display.wording import counted, list_entries, sentence
from dcsend.printable import format_size
from dcsend.session.events import ManifestKnown, Planned

__all__ = ["describe_plan", "list_offer"]

_MAX_LISTED: Final = 1000
"Entries that are listed."
_SKIPPED: Final = {
    "same": "{} there already and not sent",
    "exists": "{} there under the same name and skipped",
    "unsafe": "{} refused for the name",
    "unsupported": "{} of a kind that is not received",
}
"By reason in Accept, after the number of entries."


def list_offer(event: ManifestKnown, *, verbose: bool) -> list[str]:
    """List what would be sent; all of it if *verbose*."""
    most = len(event.entries) if verbose else _MAX_LISTED
    lines = list(itertools.islice(list_entries(event), most))
    more = len(event.entries) - most
    return [*lines, f"and {more} more (-v lists all)"] if more > 0 else lines


def describe_plan(event: Planned, *, sends: bool, place: str) -> list[str]:
    """Return the lines of a plan.

    Args:
        event: the plan.
        sends: whether this side sends.
        place: where this side saves, as "in PATH".
    """
    verb, where = ("sent", "") if sends else ("received", f" {place}")
    size = "" if event.bytes is None else f" ({format_size(event.bytes)})"
    lines = [f"dry run: {counted(event.files, 'file')}{size} would be {verb}{where}"]
    for reason, number in sorted(event.skipped.items()):
        what = _SKIPPED.get(reason, "{} not received")
        lines.append(what.format(f"{counted(number, 'file')} {_be(number)}"))
    if event.overwritten:
        lines.append(f"{counted(event.overwritten, 'existing file')} would be replaced")
    if event.renamed:
        lines.append(f"{counted(event.renamed, 'file')} would get another name")
    if event.resumed:
        lines.append(f"{format_size(event.resumed)} are there from an earlier run")
    if event.compared:
        amount = format_size(event.compared)
        lines.append(f"{amount} of existing files would be compared, and sent only if they differ")
    if event.refusal is not None:
        lines += [sentence(event.refusal.message), f"hint: {sentence(event.refusal.hint)}"]
    if event.free is not None:
        lines.append(f"{format_size(event.free)} are free there")
    return lines


def _be(number: int) -> str:
    return "is" if number == 1 else "are"
