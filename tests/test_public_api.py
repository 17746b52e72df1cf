"""The public API of `import dcsend`, and the example in README.md."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import functools
import io
import pydoc
import re
import subprocess
import sys
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

import dcsend
from dcsend import api, errors
from dcsend.session import events
from tests.support.mailbox_server import StockServer

README = Path(__file__).parent.parent / "README.md"


def test_everything_listed_can_be_used() -> None:
    assert all(hasattr(dcsend, name) for name in dcsend.__all__)
    assert sorted(dcsend.__all__) == dcsend.__all__


def test_every_error_and_every_event_is_public() -> None:
    assert set(errors.__all__) <= set(dcsend.__all__)
    assert set(events.__all__) - {"Emit"} <= set(dcsend.__all__)
    assert set(api.__all__) <= set(dcsend.__all__)


@pytest.mark.full
def test_importing_loads_neither_aiortc_nor_the_command_line() -> None:
    script = (
        "import sys, dcsend\n"
        "print([m for m in ('aiortc', 'aioice', 'typer', 'tqdm', 'qrcode', 'cryptography')"
        " if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert shown.stdout.strip() == b"[]"


@pytest.mark.full
def test_the_example_in_the_readme_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    lines = [line for line in found[1].splitlines() if line.strip()]
    assert len(lines) <= 10
    (tmp_path / "film.mkv").write_bytes(b"film" * 5000)
    # A test contacts no STUN server.
    script = found[1].replace('"film.mkv"', '"film.mkv", settings=dcsend.Settings(stun=())')
    shown = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=tmp_path,
        env={"PYTHONPATH": str(README.parent), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr == ""
    assert (tmp_path / "downloads" / "film.mkv").read_bytes() == b"film" * 5000


@pytest.mark.full
def test_the_example_in_the_readme_ends_where_the_file_is_missing(tmp_path: Path) -> None:
    found = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    shown = subprocess.run(
        [sys.executable, "-c", found[1]],
        cwd=tmp_path,
        env={"PYTHONPATH": str(README.parent), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert shown.returncode == 1
    assert "SourceError: no such file or folder: film.mkv" in shown.stderr


LOCAL = dcsend.Settings(stun=(), addresses=("127.0.0.1",))


async def test_failed_offer_ends_its_body(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    settings = dataclasses.replace(LOCAL, expires=1.0)
    with pytest.raises(dcsend.TimedOut, match="no device connected with the code"):
        async with dcsend.offer(tmp_path / "f", settings=settings):
            await asyncio.Event().wait()


async def test_body_that_fails_ends_the_offer_and_is_raised(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    events: list[dcsend.Event] = []
    with pytest.raises(ZeroDivisionError):
        async with dcsend.offer(tmp_path / "f", settings=LOCAL, on_event=events.append):
            raise ZeroDivisionError
    assert isinstance(events[-1], dcsend.Finished)
    assert events[-1].exit == 130


async def test_cancelled_body_stays_cancelled(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    inside = asyncio.Event()

    async def main() -> None:
        async with dcsend.offer(tmp_path / "f", settings=LOCAL):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(main())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_body_that_has_ended_waits_for_the_transfer(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x" * 300_000)
    async with dcsend.offer(tmp_path / "f", settings=LOCAL) as offer:
        receiving = asyncio.create_task(
            dcsend.receive(offer.code, output=tmp_path / "in", settings=LOCAL)
        )
    assert (await offer.finished()).ok
    assert (await receiving).files[0].ok


async def test_invitation_gives_a_code_for_a_sender(tmp_path: Path) -> None:
    data = io.BytesIO(b"report" * 1000)
    settings = dataclasses.replace(LOCAL, stdin_name="report.pdf")
    async with dcsend.invite(output=tmp_path, settings=LOCAL) as invitation:
        sent = await dcsend.send("-", to=invitation.code, stdin=data, settings=settings)
    assert sent.ok
    assert (tmp_path / "report.pdf").read_bytes() == data.getvalue()


@pytest.mark.full
async def test_short_code_of_an_offer_is_the_newest_one(
    tmp_path: Path, stock_server: StockServer
) -> None:
    stock_server.start()
    source = tmp_path / "a.bin"
    source.write_bytes(b"a" * 100)
    settings = dataclasses.replace(LOCAL, server=stock_server.server.url)
    codes: asyncio.Queue[str] = asyncio.Queue()
    used: list[str] = []

    def note(event: dcsend.Event) -> None:
        if isinstance(event, dcsend.ShortCodeReady):
            codes.put_nowait(event.code)
        elif isinstance(event, dcsend.ShortCodeUsed):
            used.append(event.code)

    async with dcsend.offer(source, settings=settings, on_event=note) as offer:
        first = await codes.get()
        assert offer.short_code == first
        number = first.partition("-")[0]
        wrong = f"{number}-{'walrus-umbrella' if 'walrus' not in first else 'acid-zebra'}"
        with pytest.raises(dcsend.AuthenticationFailed):
            await dcsend.receive(wrong, output=tmp_path / "in", settings=settings)
        second = await codes.get()
        assert offer.short_code == second != first
        done = await dcsend.receive(offer.short_code, output=tmp_path / "in", settings=settings)
    assert used == [first, second]
    assert offer.short_code == ""
    assert done.files[0].saved == tmp_path / "in" / "a.bin"


@pytest.mark.full
@pytest.mark.parametrize("another", [True, False, None])
async def test_caller_decides_about_another_short_code_after_three_wrong_ones(
    tmp_path: Path, stock_server: StockServer, another: bool | None
) -> None:
    stock_server.start()
    (tmp_path / "f").write_text("x")
    settings = dataclasses.replace(LOCAL, server=stock_server.server.url)
    shown: asyncio.Queue[dcsend.Event] = asyncio.Queue()
    asked: list[bool] = []

    def note(event: dcsend.Event) -> None:
        if isinstance(event, dcsend.ShortCodeReady | dcsend.ShortCodeOver):
            shown.put_nowait(event)

    async def confirm() -> bool:
        asked.append(bool(another))
        return bool(another)

    async with dcsend.offer(
        tmp_path / "f",
        settings=settings,
        on_event=note,
        confirm=None if another is None else confirm,
    ) as offer:
        for _ in range(3):
            code = await shown.get()
            assert isinstance(code, dcsend.ShortCodeReady)
            words = "walrus-umbrella" if "walrus" not in code.code else "acid-zebra"
            with pytest.raises(dcsend.AuthenticationFailed):
                await dcsend.receive(
                    f"{code.code.partition('-')[0]}-{words}", output=tmp_path, settings=settings
                )
        event = await shown.get()
        assert isinstance(event, dcsend.ShortCodeReady if another else dcsend.ShortCodeOver)
        code_to_use = offer.short_code if another else offer.code
        await dcsend.receive(code_to_use, output=tmp_path / "in", settings=settings)
    assert asked == ([] if another is None else [another])
    assert (tmp_path / "in" / "f").read_text() == "x"


async def test_offer_has_no_short_code_unless_it_is_permitted(tmp_path: Path) -> None:
    source = tmp_path / "a.bin"
    source.write_bytes(b"a")
    seen: list[dcsend.Event] = []
    async with dcsend.offer(source, settings=LOCAL, on_event=seen.append) as offer:
        assert (await dcsend.receive(offer.code, output=tmp_path / "in", settings=LOCAL)).ok
        assert offer.short_code == ""
    assert not any(isinstance(event, dcsend.ShortCodeReady) for event in seen)


async def test_stream_that_is_missing_is_a_mistake() -> None:
    with pytest.raises(dcsend.UsageError, match="there is no stream for it"):
        await dcsend.send("-", settings=LOCAL)
    with pytest.raises(dcsend.UsageError, match="there is no code to publish"):
        dcsend.offer("f", settings=dcsend.Settings(signal=dcsend.Signal.SDP))


@pytest.mark.parametrize("settings", [dcsend.Settings, dcsend.ChatSettings, dcsend.Deadlines])
def test_every_setting_is_explained_by_help(settings: type) -> None:
    shown = pydoc.render_doc(settings, renderer=pydoc.TextDoc())
    explained = shown.partition("Args:")[2].partition("Methods defined")[0]
    for field in dataclasses.fields(settings):
        assert re.search(rf"^ [|] +{field.name}: ", explained, re.MULTILINE), field.name


ERROR = dcsend.SourceError("gone", "look")
EVENTS: list[dcsend.Event] = [
    dcsend.CodeReady("c", "l", datetime.datetime.now(datetime.UTC), "sender"),
    dcsend.ShortCodeReady("7-walrus-umbrella", "", datetime.datetime.now(datetime.UTC)),
    dcsend.ShortCodeServer("rendezvous.example.org", connected=False, local=True),
    dcsend.ShortCodeUsed("7-walrus-umbrella"),
    dcsend.ShortCodeOver(ERROR),
    dcsend.DescriptionReady("offer", "text"),
    dcsend.Arrived("192.0.2.1"),
    dcsend.Left("192.0.2.1", ERROR, again=True),
    dcsend.Connected("direct", "IPv4", "192.0.2.1", "dcsend", 0.5),
    dcsend.ManifestKnown([dcsend.Entry("a", dcsend.Kind.FILE, 3)]),
    dcsend.Planned(3, 10, skipped={"same": 2}, free=4),
    dcsend.Progressed(1, 10, 4.0),
    dcsend.Limited(2e6),
    dcsend.Checking("a", 1, 10),
    dcsend.Disconnected(5.0, 600.0),
    dcsend.Reconnected(41.0),
    dcsend.Damaged("a", 1, 10),
    dcsend.TextExchanged("hello", sent=True, kind="line"),
    dcsend.StateChanged("connected"),
    dcsend.ChannelAnnounced("data", 1),
    dcsend.ChannelOpened("data", 1),
    dcsend.ChannelClosed("data", 1),
    dcsend.MessageExchanged("data", "text", sent=True),
    dcsend.MessageExchanged("data", b"bytes", sent=True),
    dcsend.FileFinished("a", "ok", 3),
    dcsend.ReceiverFinished(7, 3, 1.5, 0, ERROR),
    dcsend.OfReceiver(2, dcsend.Progressed(1, 10, 4.0)),
    dcsend.SenderFinished(7, 3, 1.5, 0, ERROR),
    dcsend.OfSender(2, dcsend.Progressed(1, 10, 4.0)),
    dcsend.Warned("silent", "nothing"),
    dcsend.Failed(ERROR),
    dcsend.Finished(ok=True, exit=0, bytes=3, seconds=1.0),
]


def test_every_event_is_in_the_list() -> None:
    assert {type(event) for event in EVENTS} == set(typing.get_args(dcsend.Event))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_event_has_the_fields_that_json_has(event: dcsend.Event) -> None:
    fields = event.as_json()
    if isinstance(event, dcsend.OfPeer):
        assert fields.pop(event.role) == event.number
        event = cast(dcsend.Event, event.inner)
    for name, value in fields.items():
        mine = getattr(event, name)
        if isinstance(value, bool | int) and not isinstance(mine, list | tuple | Sequence):
            assert mine == value, name


async def test_cancelling_a_send_that_waits_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    events: list[dcsend.Event] = []
    published = asyncio.Event()

    def on_event(event: dcsend.Event) -> None:
        events.append(event)
        if isinstance(event, dcsend.CodeReady):
            published.set()

    settings = dcsend.Settings(stun=(), addresses=("127.0.0.1",))
    task = asyncio.create_task(dcsend.send(tmp_path / "f", settings=settings, on_event=on_event))
    await published.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert isinstance(events[-1], dcsend.Finished)
    assert events[-1].exit == 130


async def test_the_accept_callback_decides_what_to_do_with_files_that_exist(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("f", "g"):
        (tmp_path / name).write_text("new")
    (tmp_path / "in" / "f").write_text("old")
    code: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    existing: list[list[str]] = []

    def on_event(event: dcsend.Event) -> None:
        if isinstance(event, dcsend.CodeReady):
            code.set_result(event.code)

    async def rename(manifest: dcsend.ManifestKnown) -> dcsend.Existing:
        existing.append([manifest.entries[number].path for number in manifest.taken])
        assert (manifest.existing, manifest.fresh) == (dcsend.Existing.REFUSE, 1)
        return dcsend.Existing.RENAME

    async def accept(manifest: dcsend.ManifestKnown) -> bool:
        return True

    settings = dcsend.Settings(stun=(), addresses=("127.0.0.1",))
    sending = asyncio.create_task(
        dcsend.send([tmp_path / "f", tmp_path / "g"], settings=settings, on_event=on_event)
    )
    receive = functools.partial(dcsend.receive, output=tmp_path / "in", settings=settings)
    with pytest.raises(dcsend.DestinationError, match="f exists"):
        await receive(await code, accept=accept)
    done = await receive(await code, accept=rename)
    assert done.ok
    await sending
    assert existing == [["f"]]
    names = sorted(path.name for path in (tmp_path / "in").iterdir())
    assert names == ["f", "f (1)", "g"]
    assert (tmp_path / "in" / "f").read_text() == "old"


async def test_the_accept_callback_decides(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    code: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def on_event(event: dcsend.Event) -> None:
        if isinstance(event, dcsend.CodeReady):
            code.set_result(event.code)

    async def refuse(manifest: dcsend.ManifestKnown) -> bool:
        return [entry.path for entry in manifest.entries] != ["f"]

    settings = dcsend.Settings(stun=(), addresses=("127.0.0.1",))
    sending = asyncio.create_task(dcsend.send(tmp_path / "f", settings=settings, on_event=on_event))
    with pytest.raises(dcsend.PeerRefused, match="you declined"):
        await dcsend.receive(await code, output=tmp_path / "in", accept=refuse, settings=settings)
    with pytest.raises(dcsend.PeerRefused, match="the other side declined"):
        await sending
    assert not (tmp_path / "in").exists()
