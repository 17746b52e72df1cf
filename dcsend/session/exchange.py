"""Connecting by two session descriptions, each pasted by a person.

this side offers:   show ours ─► read theirs (an answer; or an offer, which is answered then)
this side answers:  read theirs ─► show ours
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from dcsend.description import Description, SdpType
from dcsend.errors import MalformedCode, TimedOut, UsageError
from dcsend.peers.loading import Make, Peer
from dcsend.peers.offer_answer import Negotiation
from dcsend.session.conclusion import reported_first
from dcsend.session.events import DescriptionReady, Emit, Warned
from dcsend.session.ice_settings import servers_of
from dcsend.session.publishing import ChangeNotes
from dcsend.session.waiting import noting
from dcsend.settings import Settings
from dcsend.signaling import blob

__all__ = ["Ask", "ExchangeOptions", "exchange", "refuse_short_code"]


class Ask(Protocol):
    """Reads the other side's description from a person."""

    async def __call__(self, wanted: SdpType | None, validate: Callable[[str], object]) -> str:
        """Return a pasted text that *validate* accepts.

        Args:
            wanted: which half is needed; None for either.
            validate: raises DcsendError, with a hint, for an unusable text. A person is asked again
                then; a program raises it.

        Raises:
            UsageError: there is no person to ask.
        """
        ...


@dataclass(frozen=True, slots=True)
class ExchangeOptions:
    """What differs between a transfer and a chat."""

    offers: bool
    "Whether this side makes the offer."
    compact: bool
    "Whether our offer has the compact form; an answer has that of the offer."
    active: bool = False
    "Whether the answerer is the DTLS client, see `Negotiation.describe`."


@asynccontextmanager
async def exchange(
    settings: Settings,
    options: ExchangeOptions,
    emit: Emit,
    ask: Ask | None,
    make: Make[Peer],
    *,
    prepared: Callable[[Peer], None] = lambda peer: None,
) -> AsyncIterator[Peer]:
    """Yield a connection to the peer; closed at the end, whatever happens.

    Args:
        settings: `code` may hold the other side's offer.
        options: of this kind of run.
        emit: gets our description.
        ask: returns theirs.
        make: of `loading`: makes the connection.
        prepared: called with the connection when both descriptions are there, before it connects.

    Raises:
        DcsendError: a description is unusable, or the connection failed.
    """
    theirs: Description | None = None
    text = settings.code
    if text:
        theirs = blob.decode(text, SdpType.OFFER)
    elif not options.offers:
        text = await _asked(ask, SdpType.OFFER, settings.expires)
        theirs = blob.decode(text, SdpType.OFFER)
    endpoint = await Negotiation.open(
        servers_of(settings), port=settings.port, addresses=settings.addresses
    )
    try:
        with reported_first(emit):
            for problem in endpoint.problems:
                emit(Warned("server", problem.message, problem.hint))
            changes = nullcontext() if settings.addresses else ChangeNotes(emit)
            if theirs is None:
                ours = endpoint.describe(SdpType.OFFER)
                _show(ours, emit, compact=options.compact)
                async with changes:
                    text = await _asked(ask, None, settings.expires, ours)
                theirs = _of_the_other_side(text, ours)
            # A browser can't wait for a pasted answer (see `peers.offer_answer`), so it always
            # offers; its offer replaces ours.
            answers = theirs.type is SdpType.OFFER
            if answers:
                ours = _answer(endpoint, theirs, options)
            peer = endpoint.prepare(ours, theirs, make)
    except BaseException:
        await endpoint.close()
        raise
    try:
        with reported_first(emit):
            if answers:
                _show(ours, emit, compact=blob.is_compact(text))
            prepared(peer)
            # An answerer waits for a person.
            timeout = settings.expires if answers else settings.connect_timeout
            notes = noting(partial(endpoint.facts, theirs), emit) if answers else nullcontext()
            async with notes, changes:
                await endpoint.establish(peer, theirs, timeout=timeout)
            yield peer
    finally:
        await peer.close()


async def _asked(
    ask: Ask | None, wanted: SdpType | None, expires: float, ours: Description | None = None
) -> str:
    """Return a pasted description; raise TimedOut after *expires* seconds."""
    if ask is None:
        raise UsageError("can't ask for the other side's code", "pass ask=…")

    def validate(text: str) -> None:
        if ours is not None:
            _of_the_other_side(text, ours)
        else:
            blob.decode(text, wanted)

    try:
        async with asyncio.timeout(expires):
            return await ask(wanted, validate)
    except TimeoutError:
        raise TimedOut("the other side's code was not pasted in time", "run it again") from None


def _of_the_other_side(text: str, ours: Description) -> Description:
    """Decode a description, offer or answer, that is not the one shown here."""
    theirs = blob.decode(text)
    if theirs.fingerprint == ours.fingerprint:
        raise MalformedCode(
            "this is the code that was shown here",
            "give it to the other side, and paste what is shown there",
        )
    if theirs.offer_mark not in (None, blob.mark(ours)):
        raise MalformedCode(
            "this answer belongs to another code",
            "give the other side the code that is shown here, and paste the answer to it",
        )
    return theirs


def _answer(endpoint: Negotiation, theirs: Description, options: ExchangeOptions) -> Description:
    """Return our answer, marked with the offer: the offerer detects an answer to another one."""
    ours = endpoint.describe(SdpType.ANSWER, theirs, active=options.active)
    return replace(ours, offer_mark=blob.mark(theirs))


def _show(ours: Description, emit: Emit, *, compact: bool) -> None:
    text = blob.encode(ours) if compact else blob.encode_json(ours)
    emit(DescriptionReady(ours.type.value, text))


def refuse_short_code(text: str) -> None:
    """Refuse a short code, complete or not: that of a transfer would be used up.

    Raises:
        UsageError: it is one.
    """
    from dcsend.signaling.link import both_codes
    from dcsend.signaling.shortcode import is_short_code

    if is_short_code(text) and both_codes(text) is None:
        raise UsageError(
            "a short code is for dcsend send and receive",
            "give chat the code that dcsend chat --listen prints, or an offer",
        )
