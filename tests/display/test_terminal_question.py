"""The question whether to accept, on a pseudo-terminal whose screen is rendered."""

from __future__ import annotations

import io
import sys

import pytest

from dcsend.display.streams import Stream
from dcsend.display.terminal import TerminalDisplay, TerminalOptions
from dcsend.entry import Entry, Existing, Kind
from dcsend.errors import (
    PeerRefused,
    UsageError,
)
from dcsend.session.events import (
    Failed,
    ManifestKnown,
    TextExchanged,
)
from tests.display.seats import HOSTILE, MANIFEST, Seat, Typist

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")


@pytest.mark.parametrize(
    ("answers", "accepted"),
    [
        ([""], True),
        (["y"], True),
        ([" YES "], True),
        (["n"], False),
        (["no"], False),
        (["q"], False),
        ([None], False),
        (["l", None], False),
        (["what?", "L", "y"], True),
    ],
)
async def test_question_is_asked_until_it_is_answered(
    seat: Seat, answers: list[str | None], accepted: bool
) -> None:
    typist = Typist(seat.pty, answers)
    display = seat.display(keyboard=typist, output="/x")  # type: ignore[arg-type]
    assert await display.decide(MANIFEST) is accepted
    assert typist.questions == ["accept and save in /x? [Y/n, c chooses, l lists all]"] * len(
        answers
    )
    assert ("  a.txt" in seat.pty.written) is ("l" in answers or "L" in answers)


@pytest.mark.parametrize(
    ("answers", "accepted"),
    [
        (["o"], Existing.OVERWRITE),
        (["Rename"], Existing.RENAME),
        ([" s "], Existing.SKIP),
        (["n"], Existing.REFUSE),
        (["QUIT"], Existing.REFUSE),
        ([None], Existing.REFUSE),
        (["", "y", "l", "o"], Existing.OVERWRITE),
    ],
)
async def test_person_is_asked_what_to_do_with_files_that_exist(
    seat: Seat, answers: list[str | None], accepted: object
) -> None:
    typist = Typist(seat.pty, answers)
    display = seat.display(keyboard=typist, output="/x")  # type: ignore[arg-type]
    offer = ManifestKnown([Entry(name, size=1) for name in "abcde"], taken=[0, 1, 2, 4])
    assert await display.decide(offer) is accepted
    prompt = "overwrite, rename or skip them, or accept nothing now? [o/r/s/n/c, l lists all]"
    assert typist.questions == [prompt] * len(answers)
    assert "4 files exist in /x already: a, b, c and 1 more" in seat.pty.written


@pytest.mark.parametrize(
    ("existing", "taken", "fresh", "facts"),
    [
        (Existing.SKIP, [0, 1], 1, "2 files exist and are skipped; 1 is new"),
        (Existing.OVERWRITE, [1], 2, "1 file exists and is replaced; 2 are new"),
        (Existing.SKIP, [0, 1, 2], 0, "3 files exist and are skipped; none is new"),
        (
            Existing.RENAME,
            [0],
            2,
            "1 file exists and is kept, what is sent gets another name; 2 are new",
        ),
    ],
)
async def test_question_names_what_an_option_does_with_files_that_exist(
    seat: Seat, existing: Existing, taken: list[int], fresh: int, facts: str
) -> None:
    typist = Typist(seat.pty, [""])
    display = seat.display(keyboard=typist, output="/x")  # type: ignore[arg-type]
    entries = [Entry(name, size=1) for name in "abc"]
    offer = ManifestKnown(entries, taken=taken, existing=existing, fresh=fresh)
    assert await display.decide(offer) is True
    assert facts in seat.pty.written
    assert typist.questions == ["accept and save in /x? [Y/n, c chooses, l lists all]"]


@pytest.mark.parametrize(
    ("taken", "facts"),
    [
        ([], "3.0 MB of it are there from an earlier run and are not sent again"),
        ([0], "1 file exists and is skipped; 2 are new; 3.0 MB of it are there from an earlier"),
    ],
)
async def test_question_names_what_an_earlier_run_has_received(
    seat: Seat, taken: list[int], facts: str
) -> None:
    typist = Typist(seat.pty, [""])
    display = seat.display(keyboard=typist, output="/x")  # type: ignore[arg-type]
    entries = [Entry(name, size=10**7) for name in "abc"]
    offer = ManifestKnown(entries, taken=taken, existing=Existing.SKIP, fresh=2, resumed=3 * 10**6)
    assert await display.decide(offer) is True
    assert facts in " ".join(seat.pty.written.split())


@pytest.mark.parametrize("taken", [[], [0]])
async def test_question_names_what_is_there_already(seat: Seat, taken: list[int]) -> None:
    typist = Typist(seat.pty, ["s" if taken else ""])
    display = seat.display(keyboard=typist, output="/x")  # type: ignore[arg-type]
    entries = [Entry(name, size=10**7) for name in "abc"]
    await display.decide(ManifestKnown(entries, taken=taken, same=1, compared=0))
    assert "1 file is there already and not sent" in " ".join(seat.pty.written.split())


async def test_question_names_what_is_compared(seat: Seat) -> None:
    typist = Typist(seat.pty, [""])
    display = seat.display(keyboard=typist, output="/x")  # type: ignore[arg-type]
    entries = [Entry(name, size=10**7) for name in "abc"]
    offer = ManifestKnown(entries, taken=[1], existing=Existing.OVERWRITE, compared=10**7)
    await display.decide(offer)
    assert "10.0 MB of these files are compared" in " ".join(seat.pty.written.split())


async def test_names_of_files_that_exist_are_escaped(seat: Seat) -> None:
    typist = Typist(seat.pty, ["n"])
    display = seat.display(keyboard=typist)  # type: ignore[arg-type]
    await display.decide(ManifestKnown([Entry(HOSTILE, size=1)], taken=[0]))
    assert "\x1b]0" not in seat.pty.written


@pytest.mark.parametrize(
    ("answers", "listed"),
    [(["l", "", "", "n"], 50), (["l", "q", "n"], 23), (["l", "", "q", "n"], 46)],
)
async def test_long_list_is_shown_a_window_at_a_time(
    seat: Seat, answers: list[str], listed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINES", "24")
    err = io.StringIO()
    typist = Typist(seat.pty, answers)
    many = ManifestKnown([Entry(f"{number}.txt", size=1) for number in range(50)])
    Stream(seat.pty.file).write("-")  # what the typist looks at
    display = TerminalDisplay(Stream(None), Stream(err), TerminalOptions(), typist)  # type: ignore[arg-type]
    assert await display.decide(many) is False
    assert err.getvalue().count(".txt\n") == listed
    assert "23 of 50; Enter lists more, q ends the list" in err.getvalue()


@pytest.mark.parametrize(
    ("entries", "output", "question"),
    [
        ([Entry("text", Kind.TEXT, size=5)], "x", "accept and show it?"),
        ([Entry("a", size=5)], "-", "accept and write it to standard output?"),
    ],
)
async def test_question_names_what_will_be_done(
    seat: Seat, entries: list[Entry], output: str, question: str
) -> None:
    typist = Typist(seat.pty, ["n"])
    display = seat.display(keyboard=typist, output=output)  # type: ignore[arg-type]
    display.show(ManifestKnown(entries))
    await display.decide(ManifestKnown(entries))
    assert typist.questions == [f"{question} [Y/n, l lists all]"]


async def test_question_stays_last_when_something_comes_in_between(seat: Seat) -> None:
    typist = Typist(seat.pty, ["y"])
    display = seat.display(output="/x", keyboard=typist)  # type: ignore[arg-type]
    plain_ask = typist.ask

    async def ask() -> str | None:
        display.show(TextExchanged("hi", sent=False, kind="line"))
        return await plain_ask()

    typist.ask = ask  # type: ignore[method-assign]
    await display.decide(MANIFEST)
    assert seat.pty.look()[:2] == [
        "other side: hi",
        "accept and save in /x? [Y/n, c chooses, l lists all] y",
    ]


async def test_question_left_without_answer_stays_above_the_error(seat: Seat) -> None:
    display = seat.display(output="/x", keyboard=Typist(seat.pty, [None]))  # type: ignore[arg-type]
    await display.decide(MANIFEST)
    display.show(Failed(PeerRefused("the other side cancelled")))
    assert seat.pty.look() == [
        "accept and save in /x? [Y/n, c chooses, l lists all]",
        "dcsend: the other side cancelled",
    ]


async def test_question_without_a_keyboard_is_an_error(seat: Seat) -> None:
    with pytest.raises(UsageError, match="standard input is not a terminal"):
        await seat.display().decide(MANIFEST)
