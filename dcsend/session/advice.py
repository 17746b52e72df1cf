"""What to do after a run that did not reach its end; the same for every display and the API.

Each sentence is for the side that reads it: it contains no option of the other side, and promises
only what a further run can achieve.
"""

from __future__ import annotations

import shlex

from dcsend.errors import ConnectionFailed, DcsendError, Interrupted, PartlyDone
from dcsend.session.outcome import Tally
from dcsend.settings import Settings

__all__ = ["how_to_go_on"]


def how_to_go_on(settings: Settings, role: str, tally: Tally, error: DcsendError) -> str:
    """Return the next step after an error.

    Args:
        settings: those of the run.
        role: `sender` or `receiver`.
        tally: what the run has achieved.
        error: how it ended.

    Returns:
        One sentence; empty where the error has a better hint, and where nothing can be continued.
    """
    if tally.started is None:
        return _before_it_began(settings, error)
    match error:
        case Interrupted() | ConnectionFailed():
            return _after_an_interruption(settings, role, tally)
        case PartlyDone():
            return _after_a_part(settings, role, tally)
        case _:
            return ""


def _before_it_began(settings: Settings, error: DcsendError) -> str:
    """Return the state of the other side's code, where the error does not contain it."""
    from dcsend.signaling.blob import is_blob
    from dcsend.signaling.link import both_codes
    from dcsend.signaling.shortcode import is_short_code

    if not isinstance(error, Interrupted) or not settings.code or is_blob(settings.code):
        return ""
    if both_codes(settings.code) is None and is_short_code(settings.code):
        # A stock server takes a side that has left for one of the two, without a sign of it.
        return "nothing was accepted: enter the code again, or ask the other side for a new one"
    return "nothing was accepted: the code works while the other side waits"


def _after_an_interruption(settings: Settings, role: str, tally: Tally) -> str:
    files = tally.files
    # Links have no verdict, so an offer with links does not look complete here.
    if role == "receiver" and len(files) >= files.offered > 0 and not files.faults:
        return "everything was received and verified, but the other side was not notified"
    anew = "ask for a new code, then " if settings.code else ""
    # Standard output can't be resumed, and an unfinished file is sent from its start.
    if not files.good or (role == "receiver" and settings.destination is None):
        return f"{anew}run it again on both sides, from the start"
    if role == "sender":
        return f"to send the rest, {anew}run this again; an unfinished file begins from its start"
    return (
        f"to get the rest, {anew}run: {_skipping(settings)}; "
        "an unfinished file begins from its start"
    )


def _after_a_part(settings: Settings, role: str, tally: Tally) -> str:
    files = tally.files
    faults = files.faults.total() + files.unheard
    safe = "the others are safe"
    if files.lasting >= faults:
        return f"{safe}; rename what was refused for its name"
    if role == "sender" or settings.destination is None:
        return f"{safe}; remove the cause, then run it again"
    return f"{safe}; remove the cause, then run: {_skipping(settings)}"


def _skipping(settings: Settings) -> str:
    """Return the command that leaves out what has arrived."""
    command = ["dcsend", "receive", *(["CODE"] if settings.code else []), "--skip"]
    if settings.output != ".":
        command += ["-o", settings.output]
    return shlex.join(command)
