"""`-q`, and how an error is shown."""

from __future__ import annotations

import datetime
import io
from collections.abc import Iterator

import pytest

from dcsend.display.quiet import QuietDisplay, show_error, show_snippet
from dcsend.display.streams import Stream
from dcsend.errors import ConnectionFailed, SourceError, UsageError
from dcsend.session.events import (
    CodeReady,
    Connected,
    Event,
    Failed,
    FileFinished,
    Finished,
    ManifestKnown,
    Progressed,
    ShortCodeOver,
    ShortCodeReady,
    ShortCodeUsed,
    TextExchanged,
    Warned,
)
from tests.support.screens import Pty

CODE = CodeReady("dc0", "dcsend:#1", datetime.datetime.now(datetime.UTC), "sender")
SNIPPET = TextExchanged("one\n\x1btwo", sent=False, kind="snippet")


@pytest.fixture
def pty() -> Iterator[Pty]:
    """Give a terminal of 40 columns."""
    terminal = Pty(40)
    yield terminal
    terminal.close()


def shown(*events: Event, out: bool = True) -> tuple[str, str]:
    """Return what is on standard output and on standard error."""
    streams = io.StringIO(), io.StringIO()
    display = QuietDisplay(Stream(streams[0]) if out else None, Stream(streams[1]))
    for event in events:
        display.show(event)
    display.close()
    return streams[0].getvalue(), streams[1].getvalue()


def test_only_the_code_is_shown() -> None:
    events = (
        CODE,
        Connected("direct", "IPv4", "192.0.2.1", "x", 100),
        ManifestKnown([]),
        Progressed(1, 2, 3.0),
        FileFinished("a", "ok", 1),
        TextExchanged("hi", sent=False, kind="line"),
        TextExchanged("abc", sent=True, kind="random"),
        Warned("silent", "nothing came"),
        Finished(True, 0, 1, 1.0),
    )
    assert shown(*events) == ("dc0\n", "")


def test_short_codes_are_on_standard_error_alone_on_their_lines() -> None:
    first, second = (
        ShortCodeReady(f"{number}-walrus-umbrella", "", CODE.expires) for number in (7, 8)
    )
    assert shown(CODE, first, ShortCodeUsed(first.code), second) == (
        "dc0\n",
        "7-walrus-umbrella\n8-walrus-umbrella\n",
    )


def test_end_of_short_codes_is_shown() -> None:
    over = ShortCodeOver(ConnectionFailed("the server can't be reached", "use the dial code"))
    assert shown(CODE, over) == (
        "dc0\n",
        "dcsend: the server can't be reached\ndcsend: hint: use the dial code\n",
    )


def test_code_is_on_standard_error_where_standard_output_is_taken() -> None:
    assert shown(CODE, out=False) == ("", "dc0\n")


def test_failure_is_shown_and_what_was_left_out_is_not() -> None:
    events = (Warned("skipped", "l: it is a link"), Failed(SourceError("a\x07: gone", "look")))
    assert shown(*events) == ("", "dcsend: a\\x07: gone\ndcsend: hint: look\n")


def test_what_is_refused_is_shown() -> None:
    assert shown(Warned("refused", "l: it leads out")) == ("", "dcsend: l: it leads out\n")


def test_received_text_is_for_the_program_as_it_is() -> None:
    assert shown(SNIPPET) == ("one\n\x1btwo\n", "")
    assert shown(TextExchanged("a\n", sent=False, kind="snippet")) == ("a\n", "")


def test_received_text_is_escaped_for_a_person(pty: Pty) -> None:
    show_snippet(Stream(pty.file), SNIPPET.text)
    assert pty.look() == ["one", "\\x1btwo"]


def test_text_of_our_own_is_not_repeated() -> None:
    assert shown(TextExchanged("mine", sent=True, kind="snippet")) == ("", "")


def test_complaint_is_broken_between_words_on_a_terminal(pty: Pty) -> None:
    show_error(Stream(pty.file), "the file a.txt is not there any more", "look again")
    assert pty.look() == [
        "dcsend: the file a.txt is not there any",
        "  more",
        "dcsend: hint: look again",
    ]


def test_complaint_is_one_line_elsewhere() -> None:
    err = io.StringIO()
    show_error(Stream(err), "word " * 40 + "end")
    assert err.getvalue().count("\n") == 1


async def test_question_is_an_error() -> None:
    with pytest.raises(UsageError, match="-q"):
        await QuietDisplay(None, Stream(None)).decide(ManifestKnown([]))
