"""What to do after a run that ended in the middle."""

from __future__ import annotations

import asyncio
import signal

import pytest

from dcsend.errors import ConnectionFailed, DcsendError, Interrupted, PeerRefused
from dcsend.session.advice import how_to_go_on
from dcsend.session.conclusion import conclude
from dcsend.session.events import Emit, Event, Failed, FileFinished
from dcsend.session.outcome import Tally
from dcsend.session.verdicts import Verdicts
from dcsend.settings import Settings

DIALS, LISTENS = Settings(code="dc1"), Settings()
PART = Tally(Verdicts([FileFinished("a", "failed", 0)]), 5, 1.0)
SOME = Tally(Verdicts([FileFinished("a", "ok", 5)]), 5, 1.0)


@pytest.mark.parametrize(
    ("settings", "role", "tally", "words"),
    [
        (DIALS, "receiver", Tally(), ""),
        (LISTENS, "sender", Tally(), ""),
        (
            *(Settings(code="dc1", output="my files"), "receiver", SOME),
            "to get the rest, ask for a new code, then run: "
            "dcsend receive CODE --skip -o 'my files'",
        ),
        (LISTENS, "receiver", SOME, "to get the rest, run: dcsend receive --skip"),
        (
            *(LISTENS, "sender", SOME),
            "to send the rest, run this again; the other side adds --skip to its command",
        ),
        (
            *(DIALS, "sender", SOME),
            "to send the rest, ask for a new code, then run this again; "
            "the other side adds --skip to its command",
        ),
        # One large file is sent whole again, and --skip would be of no use.
        (LISTENS, "sender", PART, "run it again on both sides; it begins from the start"),
        (
            *(DIALS, "receiver", PART),
            "ask for a new code, then run it again on both sides; it begins from the start",
        ),
        (
            *(Settings(code="dc1", output="-"), "receiver", SOME),
            "ask for a new code, then run it again on both sides; it begins from the start",
        ),
    ],
)
def test_advice_fits_what_is_complete(
    settings: Settings, role: str, tally: Tally, words: str
) -> None:
    assert how_to_go_on(settings, role, tally) == words


async def ended_by(error: DcsendError | None, *, begun: bool) -> str:
    """Return the hint of a run that ends by *error*, or by Ctrl-C."""
    interrupt: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    events: list[Event] = []

    async def story(tally: Tally, emit: Emit) -> None:
        tally.started = 1.0 if begun else None
        if error is not None:
            raise error
        interrupt.set_result(signal.SIGINT)
        await asyncio.Event().wait()

    def advise(tally: Tally) -> str:
        return how_to_go_on(LISTENS, "sender", tally)

    with pytest.raises(DcsendError):
        await conclude(story, events.append, "sender", interrupt, advise=advise)
    (failed,) = (event for event in events if isinstance(event, Failed))
    return str(failed.as_json()["hint"])


async def test_every_reader_of_events_gets_the_advice() -> None:
    advice = "run it again on both sides; it begins from the start"
    assert await ended_by(ConnectionFailed("it was lost"), begun=True) == advice
    assert await ended_by(None, begun=True) == advice


async def test_error_keeps_its_hint_where_nothing_had_begun() -> None:
    assert await ended_by(ConnectionFailed("nobody", "is it on?"), begun=False) == "is it on?"
    assert await ended_by(None, begun=False) == "None"
    assert await ended_by(PeerRefused("no", "ask why"), begun=True) == "ask why"


def test_an_interruption_has_no_hint_of_its_own() -> None:
    assert Interrupted(2).hint == ""
