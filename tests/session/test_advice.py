"""What to do after a run that ended in the middle."""

from __future__ import annotations

import asyncio
import signal

import pytest

from dcsend.entry import Entry, Existing, LeftOut
from dcsend.errors import ConnectionFailed, DcsendError, Interrupted, PartlyDone, PeerRefused
from dcsend.peers.contract import ConnectionLost
from dcsend.session.advice import how_to_go_on
from dcsend.session.arrivals import Met
from dcsend.session.conclusion import conclude
from dcsend.session.events import Event, Failed, FileFinished
from dcsend.session.outcome import BOTH_READY, Tally
from dcsend.settings import Settings
from tests.support.memory import connected_pair

DIALS, LISTENS = Settings(code="dc1"), Settings()
AGAIN = "dcsend receive --overwrite"


def tally_of(*files: FileFinished) -> Tally:
    """Return the tally of a run that has begun."""
    tally = Tally(lambda event: None)
    tally.begin(1.0)
    for file in files:
        tally.report(file)
    return tally


PART = tally_of(FileFinished("a", "failed", 0))
SOME = tally_of(FileFinished("a", "ok", 5))
NONE = Tally(lambda event: None)
ENTERED = tally_of(FileFinished("a", "ok", 5))
ENTERED.enter()


@pytest.mark.parametrize(
    ("settings", "role", "tally", "words"),
    [
        (LISTENS, "sender", NONE, ""),
        (
            *(Settings(code="dc1", output="my files"), "receiver", SOME),
            "to continue, run this and enter the new code of the other side there:\n"
            "dcsend receive -o 'my files' --skip",
        ),
        (LISTENS, "receiver", SOME, "to continue, run this:\ndcsend receive --skip"),
        (
            *(LISTENS, "receiver", ENTERED),
            "to continue, run this and enter the new code of the other side there:\n"
            "dcsend receive --skip",
        ),
        # Nothing is complete: --skip would be of no use.
        (LISTENS, "receiver", PART, "to continue, run this:\ndcsend receive"),
        # The files that exist are those that are to be replaced.
        (
            *(Settings(existing=Existing.OVERWRITE, again=AGAIN), "receiver", SOME),
            f"to continue, run this:\n{AGAIN}",
        ),
        (LISTENS, "sender", SOME, "to continue, run the same again for a new code"),
        (
            *(Settings(again="dcsend send a"), "sender", PART),
            "to continue, run this for a new code:\ndcsend send a",
        ),
        # The receiver may wait for further senders.
        (
            *(Settings(code="dc1", again="dcsend send a"), "sender", PART),
            "to continue, run the same again if the receiver still waits, or this for a new code:\n"
            "dcsend send a",
        ),
        (
            *(Settings(code="7-walrus-umbrella", again="dcsend send a"), "sender", PART),
            "to continue, run the same again with a new code of the receiver, or this for a new "
            "code:\ndcsend send a",
        ),
        (
            *(DIALS, "sender", PART),
            "to continue, run the same again if the receiver still waits, or without a code for a "
            "new one",
        ),
        (
            *(Settings(code="ds1", again="dcsend send a"), "sender", PART),
            "to continue, run this for a new code:\ndcsend send a",
        ),
        # What a pipe has taken can't be continued.
        (
            *(Settings(code="dc1", output="-"), "receiver", SOME),
            "ask for a new code, then run it again on both sides, from the start",
        ),
    ],
)
def test_advice_fits_what_is_complete(
    settings: Settings, role: str, tally: Tally, words: str
) -> None:
    cancelled = PeerRefused("the other side cancelled", BOTH_READY)
    for error in (Interrupted(2), ConnectionFailed("it was lost"), cancelled):
        assert how_to_go_on(settings, role, tally, error) == words


async def test_advice_after_a_loss_names_what_is_not_made_again() -> None:
    tally = tally_of()
    met = Met(connected_pair()[0])
    tally.meet(met.once)
    lost = how_to_go_on(LISTENS, "receiver", tally, ConnectionLost("it was lost"))
    assert lost == f"{met.once}; to continue, run this:\ndcsend receive"
    assert met.once.startswith("with two codes")
    closed = how_to_go_on(LISTENS, "receiver", tally, ConnectionFailed("it was closed"))
    assert closed == "to continue, run this:\ndcsend receive"


def test_interruption_before_anything_was_accepted_leaves_the_code_of_the_other_side() -> None:
    words = "nothing was accepted: the code works while the other side waits"
    assert how_to_go_on(DIALS, "receiver", NONE, Interrupted(2)) == words
    assert how_to_go_on(DIALS, "receiver", NONE, ConnectionFailed("it was lost")) == ""
    # It may be of no use any more, depending on when the end has arrived at the server.
    short = Settings(code="7-walrus-umbrella")
    words = "nothing was accepted: enter the code again, or ask the other side for a new one"
    assert how_to_go_on(short, "receiver", NONE, Interrupted(2)) == words
    # A session description works once.
    assert how_to_go_on(Settings(code="ds1"), "receiver", NONE, Interrupted(2)) == ""


@pytest.mark.parametrize(
    ("settings", "role", "lasting", "words"),
    [
        (LISTENS, "sender", False, "the others are safe; remove the cause, then run it again"),
        (
            *(LISTENS, "receiver", False),
            "the others are safe; remove the cause, then run:\ndcsend receive --skip",
        ),
        (
            *(Settings(code="dc1", output="my files"), "receiver", False),
            "the others are safe; remove the cause, then run:\ndcsend receive -o 'my files' --skip",
        ),
        # A further run would refuse the same names.
        (
            *(LISTENS, "receiver", True),
            "the others are safe; rename what was refused for its name",
        ),
        (
            *(LISTENS, "sender", True),
            "the others are safe; rename what was refused for its name",
        ),
    ],
)
def test_advice_after_a_part_is_for_the_side_that_reads_it(
    settings: Settings, role: str, lasting: bool, words: str
) -> None:
    tally = tally_of()
    tally.expect([Entry("a"), Entry("b")], LeftOut())
    tally.files.add(FileFinished("a", "ok", 5), 0)
    tally.files.add(FileFinished("b", "failed", 0, exit=4), 1, lasting=lasting)
    assert how_to_go_on(settings, role, tally, PartlyDone("1 of 2")) == words
    if role == "sender":
        assert "--" not in words


def test_hint_of_the_receiver_names_the_side_of_the_cause() -> None:
    tally = tally_of()
    tally.expect([Entry("a")], LeftOut(unreadable=3), unheard=3)
    tally.files.add(FileFinished("a", "ok", 5), 0)
    words = "the others are safe; remove the cause at the sender, then run:\ndcsend receive --skip"
    assert how_to_go_on(LISTENS, "receiver", tally, PartlyDone("3 of 4")) == words


def test_error_with_its_own_hint_keeps_it() -> None:
    assert how_to_go_on(LISTENS, "receiver", SOME, PeerRefused("no", "ask why")) == ""


async def ended_by(error: DcsendError | None, *, begun: bool) -> str:
    """Return the hint of a run that ends by *error*, or by Ctrl-C."""
    interrupt: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    events: list[Event] = []

    async def story(tally: Tally) -> None:
        if begun:
            tally.begin(1.0)
        if error is not None:
            raise error
        interrupt.set_result(signal.SIGINT)
        await asyncio.Event().wait()

    def advise(tally: Tally, error: DcsendError) -> str:
        return how_to_go_on(LISTENS, "sender", tally, error)

    with pytest.raises(DcsendError):
        await conclude(story, events.append, "sender", interrupt, advise=advise)
    (failed,) = (event for event in events if isinstance(event, Failed))
    return str(failed.as_json()["hint"])


async def test_every_reader_of_events_gets_the_advice() -> None:
    advice = "to continue, run the same again for a new code"
    assert await ended_by(ConnectionFailed("it was lost"), begun=True) == advice
    assert await ended_by(None, begun=True) == advice


async def test_error_keeps_its_hint_where_nothing_had_begun() -> None:
    assert await ended_by(ConnectionFailed("no answer", "is it on?"), begun=False) == "is it on?"
    assert await ended_by(None, begun=False) == "None"
    assert await ended_by(PeerRefused("no", "ask why"), begun=True) == "ask why"


def test_an_interruption_has_no_hint_of_its_own() -> None:
    assert Interrupted(2).hint == ""
