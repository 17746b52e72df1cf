"""Two codes: what is checked where the other side's is pasted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from dcsend.description import SdpType, Setup
from dcsend.errors import MalformedCode, UsageError
from dcsend.peers.loading import transfer_peer
from dcsend.session.events import DescriptionReady, Event
from dcsend.session.exchange import ExchangeOptions, exchange
from dcsend.settings import Settings
from dcsend.signaling import blob


async def test_an_answer_to_another_code_is_refused_where_it_is_pasted() -> None:
    events: list[Event] = []

    async def ask(wanted: SdpType | None, validate: Callable[[str], object]) -> str:
        (shown,) = [event for event in events if isinstance(event, DescriptionReady)]
        ours = blob.decode(shown.text)
        right = replace(
            ours,
            type=SdpType.ANSWER,
            setup=Setup.PASSIVE,
            fingerprint=bytes(32),
            offer_mark=blob.mark(ours),
        )
        stale = replace(right, offer_mark=blob.mark(ours) ^ 1)
        for encode in (blob.encode, blob.encode_json):
            with pytest.raises(MalformedCode, match="belongs to another code"):
                validate(encode(stale))
            validate(encode(right))
            validate(encode(replace(right, offer_mark=None)))  # of another program
        raise UsageError("that is all")

    settings = Settings(stun=(), addresses=("127.0.0.1",))
    options = ExchangeOptions(offers=True, compact=True)
    with pytest.raises(UsageError, match="that is all"):
        async with exchange(settings, options, events.append, ask, transfer_peer):
            pytest.fail("there is no peer")
