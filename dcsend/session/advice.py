"""What to do after a run that ended in the middle: the same words for every display and the API."""

from __future__ import annotations

import shlex

from dcsend.session.outcome import Tally
from dcsend.settings import Settings

__all__ = ["how_to_go_on"]


def how_to_go_on(settings: Settings, role: str, tally: Tally) -> str:
    """Return the next step after an interruption or a lost connection.

    Args:
        settings: those of the run.
        role: `sender` or `receiver`.
        tally: what the run has achieved.

    Returns:
        One sentence; empty if nothing had been accepted, so that there is nothing to go on with.
    """
    if tally.started is None:
        return ""
    dials = bool(settings.code)
    anew = "ask for a new code, then " if dials else ""
    # What went to standard output can't be taken up again, and an unfinished file is sent whole.
    some = tally.files.good > 0
    if not some or (role == "receiver" and settings.destination is None):
        return f"{anew}run it again on both sides; it begins from the start"
    if role == "sender":
        return f"to send the rest, {anew}run this again; the other side adds --skip to its command"
    command = ["dcsend", "receive", *(["CODE"] if dials else []), "--skip"]
    if settings.output != ".":
        command += ["-o", settings.output]
    return f"to get the rest, {anew}run: {shlex.join(command)}"
