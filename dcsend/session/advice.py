"""What to do after a run that did not reach its end; the same for every display and the API.

Each sentence is for the side that reads it: it contains no option of the other side, and promises
only what a further run can achieve.
"""

from __future__ import annotations

import shlex

from dcsend.entry import Existing
from dcsend.errors import ConnectionFailed, DcsendError, Interrupted, PartlyDone, PeerRefused
from dcsend.peers.contract import ConnectionLost
from dcsend.session.outcome import BOTH_READY, Tally
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
        One sentence, and after a line end the command that it names, if there is one. Empty where
        the error has a better hint, and where nothing can be continued.
    """
    if tally.started is None:
        return _before_it_began(settings, error)
    match error:
        case ConnectionLost() if tally.once:
            return f"{tally.once}; {_after_an_interruption(settings, role, tally)}"
        case Interrupted() | ConnectionFailed():
            return _after_an_interruption(settings, role, tally)
        case PeerRefused() if error.hint == BOTH_READY:
            return _after_an_interruption(settings, role, tally)
        case PartlyDone():
            return _after_a_part(settings, role, tally)
        case _:
            return ""


def _before_it_began(settings: Settings, error: DcsendError) -> str:
    """Return the state of the other side's code, where the error does not contain it."""
    from dcsend.signaling.blob import is_blob

    if not isinstance(error, Interrupted) or not settings.code or is_blob(settings.code):
        return ""
    if _has_only_words(settings.code):
        # A stock server takes a side that has left for one of the two, without a sign of it.
        return "nothing was accepted: enter the code again, or ask the other side for a new one"
    return "nothing was accepted: the code works while the other side waits"


def _has_only_words(code: str) -> bool:
    """Return whether *code* is a short code, which works once, without a dial code."""
    from dcsend.signaling.link import both_codes
    from dcsend.signaling.shortcode import is_short_code

    return both_codes(code) is None and is_short_code(code)


def _after_an_interruption(settings: Settings, role: str, tally: Tally) -> str:
    files = tally.files
    is_theirs = bool(settings.code) or tally.entered
    # Links have no verdict, so an offer with links does not look complete here.
    if role == "receiver" and len(files) >= files.offered > 0 and not files.faults:
        return "everything was received and verified, but the other side was not notified"
    if role == "receiver" and settings.destination is None:  # bytes of a pipe can't be resumed
        anew = "ask for a new code, then " if is_theirs else ""
        return f"{anew}run it again on both sides, from the start"
    if role == "sender":
        return _sending_again(settings)
    enter = " and enter the new code of the other side there" if is_theirs else ""
    return f"to continue, run this{enter}:\n{_continuing(settings, files.good)}"


def _sending_again(settings: Settings) -> str:
    from dcsend.signaling.blob import is_blob

    anew = f"this for a new code:\n{settings.again}"
    if not settings.code or is_blob(settings.code):
        return f"to continue, run {anew if settings.again else 'the same again for a new code'}"
    # No message contains whether the receiver waits for further senders (`--keep`).
    way = "if the receiver still waits"
    if _has_only_words(settings.code):
        way = "with a new code of the receiver"
    if not settings.again:
        anew = "without a code for a new one"
    return f"to continue, run the same again {way}, or {anew}"


def _after_a_part(settings: Settings, role: str, tally: Tally) -> str:
    files = tally.files
    faults = files.faults.total() + files.unheard
    safe = "the others are safe"
    if files.lasting >= faults:
        return f"{safe}; rename what was refused for its name"
    if role == "sender" or settings.destination is None:
        return f"{safe}; remove the cause, then run it again"
    where = " at the sender" if files.unheard == faults else ""
    return f"{safe}; remove the cause{where}, then run:\n{_continuing(settings, files.good)}"


def _continuing(settings: Settings, good: int) -> str:
    """Return the command that receives the rest, where *good* files have arrived."""
    command = settings.again or "dcsend receive"
    if not settings.again and settings.output != ".":
        command += f" -o {shlex.quote(settings.output)}"
    return f"{command} --skip" if good and settings.existing is Existing.REFUSE else command
