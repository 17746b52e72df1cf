"""`--json`: every event is one line that a program can read."""

from __future__ import annotations

import asyncio
import datetime
import io
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from dcsend.display.jsonlines import JsonDisplay
from dcsend.display.streams import Stream, written_aside
from dcsend.entry import Entry, LeftOut
from dcsend.errors import ConnectionFailed, UsageError
from dcsend.session.events import (
    CodeReady,
    Connected,
    Event,
    Failed,
    FileFinished,
    Finished,
    ManifestKnown,
    Progressed,
    TextExchanged,
    Warned,
)

WHEN = datetime.datetime(2026, 5, 1, 12, tzinfo=datetime.UTC)

EVENTS: list[tuple[Event, dict[str, Any]]] = [
    (
        CodeReady("dc0", "dcsend:#1", WHEN, "sender"),
        {
            "event": "code",
            "code": "dc0",
            "link": "dcsend:#1",
            "links": ["dcsend:#1"],
            "expires": "2026-05-01T12:00:00+00:00",
        },
    ),
    (
        Connected("direct", "IPv4", "192.0.2.1", "dcsend/1\x1b", 12.3, "a\u202eb"),
        {
            "event": "connected",
            "route": "direct",
            "family": "IPv4",
            "address": "192.0.2.1",
            "peer": "dcsend/1\x1b",
            "name": "a\u202eb",
            "rtt_ms": 12.3,
        },
    ),
    (
        ManifestKnown([Entry("a\nb", size=3)]),
        {
            "event": "manifest",
            "files": 1,
            "bytes": 3,
            "left_out": {"links": 0, "others": 0, "unreadable": 0},
            "entries": [{"path": "a\nb", "kind": "file", "size": 3}],
        },
    ),
    (
        Progressed(50, 100, 10.4, "a", 50, 100),
        {"event": "progress", "bytes": 50, "total": 100, "rate": 10, "eta_s": 4.8},
    ),
    (
        FileFinished("a", "ok", 3, where="out/a", sha256="ff"),
        {
            "event": "file",
            "path": "a",
            "saved": str(Path("out/a")),
            "bytes": 3,
            "sha256": "ff",
            "ok": True,
            "status": "ok",
            "reason": None,
        },
    ),
    (
        TextExchanged("hi", sent=False, kind="line"),
        {"event": "text", "text": "hi", "kind": "line", "sent": False},
    ),
    (
        Warned("silent", "nothing came"),
        {
            "event": "error",
            "kind": "silent",
            "message": "nothing came",
            "hint": None,
            "fatal": False,
        },
    ),
    (
        Failed(ConnectionFailed("it was lost", "again")),
        {
            "event": "error",
            "kind": "connection",
            "message": "it was lost",
            "hint": "again",
            "fatal": True,
        },
    ),
    (
        Finished(False, 5, 7, 1.23456, (FileFinished("a", "ok", 3),), "", LeftOut(2, 0, 1)),
        {
            "event": "done",
            "ok": False,
            "exit": 5,
            "bytes": 7,
            "seconds": 1.235,
            "files": 1,
            "left_out": {"links": 2, "others": 0, "unreadable": 1},
        },
    ),
]


def shown(*events: Event, verbose: bool = False) -> list[dict[str, Any]]:
    """Return what a program reads."""
    out = io.StringIO()
    display = JsonDisplay(Stream(out), verbose=verbose)
    for event in events:
        display.show(event)
    display.close()
    assert out.getvalue().count("\n") == len(out.getvalue().splitlines())
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_name_that_is_not_unicode_is_json_for_every_reader() -> None:
    name = os.fsdecode(b"caf\xe9 \xff.txt")
    event = FileFinished(name, "failed", 0, where=f"/out/{name}", reason="why")
    out = io.StringIO()
    display = JsonDisplay(Stream(out))
    display.show(event)
    display.close()
    assert "\\ud" not in out.getvalue()  # as a strict reader wants it
    line = json.loads(out.getvalue())
    assert (line["path"], line["saved"]) == ("caf\ufffd \ufffd.txt", "/out/caf\ufffd \ufffd.txt")
    assert os.fsdecode(bytes.fromhex(line["path_hex"])) == name
    assert os.fsdecode(bytes.fromhex(line["saved_hex"])) == f"/out/{name}"


@pytest.mark.parametrize(
    ("event", "line"), EVENTS, ids=[f"{number}-{e.event}" for number, (e, _) in enumerate(EVENTS)]
)
def test_event_is_one_line_of_version_1(event: Event, line: dict[str, Any]) -> None:
    before = datetime.datetime.now(datetime.UTC)
    (found,) = shown(event)
    when = found.pop("time")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", when)
    assert abs(datetime.datetime.fromisoformat(when) - before) < datetime.timedelta(minutes=1)
    assert found == {"v": 1, **line}


def test_name_that_is_no_unicode_stays_one_ascii_line() -> None:
    out = io.StringIO()
    JsonDisplay(Stream(out)).show(ManifestKnown([Entry("\udcff\u2028", size=1)]))
    assert out.getvalue().isascii()
    assert json.loads(out.getvalue())["entries"][0]["path"] == "\udcff\u2028"


@pytest.mark.parametrize(
    "path",
    ['}, {"v": 1', '"}, {"v": ', '\\"}, {\\"v": ', "}, {", "\n", '\\}, {"v": 1, "event": "done"'],
)
async def test_files_of_one_turn_are_a_line_each_whatever_their_names(path: str) -> None:
    out = io.StringIO()
    display = JsonDisplay(Stream(out))
    for _ in range(3):
        display.show(FileFinished(path, "ok", 3, where=path, reason=path))
    assert not out.getvalue()
    await asyncio.sleep(0)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["path"] for line in lines] == [path] * 3
    assert [line["reason"] for line in lines] == [path] * 3


def test_signs_of_life_are_shown_with_v_only() -> None:
    sign = TextExchanged("abc", sent=True, kind="random")
    assert shown(sign) == []
    assert [line["kind"] for line in shown(sign, verbose=True)] == ["random"]


def test_run_that_never_began_ends_with_error_and_done() -> None:
    out = io.StringIO()
    JsonDisplay(Stream(out)).refuse(UsageError("no", "yes"))
    error, done = (json.loads(line) for line in out.getvalue().splitlines())
    assert (error["event"], error["kind"], error["fatal"]) == ("error", "usage", True)
    assert (done["event"], done["ok"], done["exit"]) == ("done", False, 2)


async def test_question_is_an_error() -> None:
    with pytest.raises(UsageError, match="--json"):
        await JsonDisplay(Stream(io.StringIO())).decide(ManifestKnown([]))


class Counted(io.StringIO):
    """A stream that counts how often it is written out."""

    flushed = 0

    def flush(self) -> None:
        """Count it."""
        self.flushed += 1


def test_files_that_end_together_are_written_at_once_and_before_what_follows() -> None:
    out = Counted()
    display = JsonDisplay(Stream(out))

    async def end() -> None:
        for number in range(300):
            display.show(FileFinished(f"f{number}", "ok", 1))
        await asyncio.sleep(0)
        assert len(out.getvalue().splitlines()) == 300
        assert out.flushed == 1
        display.show(FileFinished("last", "ok", 1))
        display.show(Warned("silent", "nothing"))

    asyncio.run(end())
    names = [json.loads(line).get("path") for line in out.getvalue().splitlines()]
    assert names == [*(f"f{number}" for number in range(300)), "last", None]


async def test_number_of_events_that_are_held_is_limited() -> None:
    out = io.StringIO()
    display = JsonDisplay(Stream(out))
    for number in range(2500):  # in one turn of the loop
        display.show(FileFinished(f"f{number}", "ok", 1))
        assert number + 1 - len(out.getvalue().splitlines()) <= 1000
    display.close()
    assert len(out.getvalue().splitlines()) == 2500


class Awaited(io.StringIO):
    """A stream that sets an event when it is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = asyncio.Event()

    def write(self, text: str) -> int:
        """Set the event."""
        self.written.set()
        return super().write(text)


async def test_what_is_offered_is_written_soon_or_before_what_follows() -> None:
    out = Awaited()
    display = JsonDisplay(Stream(out))
    display.show(ManifestKnown([Entry("a", size=3)]))
    display.show(FileFinished("a", "ok", 3))
    assert not out.getvalue()
    display.show(Warned("silent", "nothing"))
    kinds = [json.loads(line)["event"] for line in out.getvalue().splitlines()]
    assert kinds == ["manifest", "file", "error"]
    out.written.clear()
    display.show(ManifestKnown([]))
    assert not out.written.is_set()
    await asyncio.wait_for(out.written.wait(), 5)
    assert len(out.getvalue().splitlines()) == 4


def test_files_that_are_held_are_written_at_the_close() -> None:
    out = Counted()
    display = JsonDisplay(Stream(out))

    async def end() -> None:
        display.show(FileFinished("f", "ok", 1))
        assert not out.getvalue()
        display.close()

    asyncio.run(end())
    assert json.loads(out.getvalue())["path"] == "f"


@pytest.mark.full
@pytest.mark.skipif(sys.platform == "win32", reason="a pipe that can be measured")
async def test_long_manifest_is_one_line_made_as_it_is_read_while_others_have_their_turns() -> None:
    reading, writing = os.pipe()
    offered = ManifestKnown([Entry("é\U0001f389" * 20 + str(n), size=n) for n in range(30_000)])
    with (
        os.fdopen(reading, encoding="utf-8") as pipe,
        os.fdopen(writing, "w", encoding="utf-8") as out,
        written_aside() as outlets,
    ):
        display = JsonDisplay(Stream(out))
        display.show(offered)
        display.show(Warned("silent", "nothing"))  # returns, although nothing is read yet
        assert outlets.of(writing).size < 1000
        line, after = await asyncio.to_thread(lambda: (pipe.readline(), pipe.readline()))
        await outlets.finish(asyncio.get_running_loop().create_future())
    when = json.loads(line)["time"]
    whole = {"v": 1, "event": "manifest", "time": when, **offered.as_json()}
    assert line == json.dumps(whole) + "\n"
    assert json.loads(after)["message"] == "nothing"


@pytest.mark.parametrize(("entries", "written"), [(1, ["manifest", "error"]), (500, ["error"])])
def test_after_a_signal_a_short_manifest_is_written_whole_and_a_long_one_not_begun(
    entries: int, written: list[str]
) -> None:
    out = io.StringIO()
    display = JsonDisplay(Stream(out), hurries=lambda: True)

    async def end() -> None:
        display.show(ManifestKnown([Entry(str(number), size=3) for number in range(entries)]))
        display.show(Warned("silent", "nothing"))
        display.close()

    asyncio.run(end())
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == written


def test_signal_ends_the_line_of_a_long_manifest_with_the_present_piece() -> None:
    out = io.StringIO()
    display = JsonDisplay(Stream(out), hurries=lambda: "f0" in out.getvalue())
    display.show(ManifestKnown([Entry(f"f{number}" * 100) for number in range(5000)]))
    display.show(Warned("silent", "nothing"))
    display.close()
    begun, after = out.getvalue().splitlines()
    assert begun.startswith('{"v": 1, "event": "manifest"')
    assert "f4999" not in begun
    assert json.loads(after)["message"] == "nothing"
