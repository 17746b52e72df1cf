"""Many wrong codes against one side that shows short codes, all in one process.

Both sides are those of every run. Only the sockets to the server are replaced, and the limit of
three wrong codes is off. `make lab` enters 10 000 wrong codes, every other run of the tests fewer.
"""

from __future__ import annotations

import asyncio
import datetime
import gc
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import psutil
import pytest

from dcsend.errors import AuthenticationFailed
from dcsend.peers.loading import transfer_peer
from dcsend.session.events import Event, ShortCodeReady, ShortCodeUsed, Warned
from dcsend.session.hosting import hosting
from dcsend.session.joining import join, joined
from dcsend.session.short_codes import ShortCodes, first_code
from dcsend.settings import Settings
from dcsend.signaling.shortcode import ShortCode, read
from tests.support.amount import amount
from tests.support.inner_server import InnerServer
from tests.support.peers import LOCAL, published

pytestmark = [pytest.mark.full, pytest.mark.usefixtures("nothing_raised")]

COUNT: Final = amount(500, 10_000)
WORDS: Final = 5
"So that two of 10 000 codes have the same words in one of 70 million runs."
SETTINGS: Final = Settings(
    addresses=(LOCAL,),
    stun=(),
    server="ws://inner.example/v1",
    mdns=False,
    page=False,
    words=WORDS,
)


class Seen:
    """What the side that shows codes has reported."""

    def __init__(self) -> None:
        self._present: asyncio.Queue[ShortCode] = asyncio.Queue()
        self.words: list[tuple[str, ...]] = []
        "Those of all codes."
        self.used = self.warned = 0
        self.others: list[Event] = []

    async def code(self) -> ShortCode:
        """Return the next code."""
        async with asyncio.timeout(60):
            return await self._present.get()

    def emit(self, event: Event) -> None:
        """Take an event."""
        match event:
            case ShortCodeReady():
                code = read(event.code)
                self.words.append(code.words)
                self._present.put_nowait(code)
            case ShortCodeUsed():
                self.used += 1
            case Warned(
                kind="short-code",
                message="a wrong code was entered, which used the last code up; this is a new one",
            ):
                self.warned += 1
            case _:
                self.others.append(event)


def wrong(code: ShortCode, number: int) -> ShortCode:
    """Return a code that differs in one of its words."""
    words = list(code.words)
    at = number % WORDS
    words[at] = "walrus" if words[at] != "walrus" else "umbrella"
    return replace(code, words=tuple(words))


async def test_each_of_many_wrong_codes_uses_one_code_up_and_connects_to_none(
    monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    server = InnerServer(monkeypatch)
    seen = Seen()
    objects = []
    memory = psutil.Process().memory_info
    async with published() as here, hosting(SETTINGS, seen.emit) as page:
        expires = datetime.datetime.now(datetime.UTC)
        codes = ShortCodes(SETTINGS, seen.emit, here.listener, page, expires, max_wrong=None)
        showing = asyncio.create_task(codes.run(first_code(SETTINGS)))
        rows = 0
        for number in range(COUNT):
            code = await seen.code()
            with pytest.raises(AuthenticationFailed, match="words of the code are wrong"):
                await join(SETTINGS, seen.emit, wrong(code, number), transfer_peer)
            assert not here.listener.taken.is_set()
            assert not here.accepting.done()
            if number in (COUNT // 10, COUNT - 1):
                gc.collect()
                objects.append((len(gc.get_objects()), memory().rss))
                rows = max(rows, server.rows)
        code = await seen.code()
        assert (len(seen.words), seen.used, seen.warned) == (COUNT + 1, COUNT, COUNT)
        assert len(set(seen.words)) == COUNT + 1
        assert seen.others == []
        async with joined(SETTINGS, seen.emit, code, transfer_peer):
            await here.accepting
        await showing
    assert here.errors == []
    assert (seen.used, seen.warned, seen.others) == (COUNT + 1, COUNT, [])
    (before, first), (after, last) = objects
    record_property("figure", f"{COUNT} wrong codes: {(last - first) / 2**20:+.1f} MB")
    assert after - before < COUNT + 500  # timers of the loop; a code that stays has dozens
    assert rows < 50
