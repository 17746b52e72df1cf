"""How the two sides meet by two session descriptions, each pasted by a person.

we offer:   ours out ─► theirs in (an answer; or an offer, and then ours is the answer)
we answer:  theirs in ─► ours out
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from dcsend.description import Description, SdpType
from dcsend.engines.described import Endpoint, Servers
from dcsend.engines.loading import Make, Peer
from dcsend.engines.stun import parse_server
from dcsend.engines.turn import parse_turn
from dcsend.errors import MalformedCode, TimedOut, UsageError
from dcsend.session.conclusion import reported_first
from dcsend.session.events import DescriptionReady, Emit, Warned
from dcsend.session.publishing import ChangeNotes
from dcsend.session.waiting import noting
from dcsend.settings import Settings
from dcsend.signaling import blob

__all__ = ["Ask", "Manners", "exchange"]


class Ask(Protocol):
    """Asks the person for the other side's description."""

    async def __call__(self, wanted: SdpType | None, judge: Callable[[str], object]) -> str:
        """Return a pasted text that *judge* accepts.

        Args:
            wanted: which half is needed; None for either.
            judge: raises DcsendError, with a hint, for a text that is of no use. Who can ask
                again does; who can't, lets it through.

        Raises:
            UsageError: there is nobody to ask.
        """
        ...


@dataclass(frozen=True, slots=True)
class Manners:
    """What differs between those who use an exchange."""

    offers: bool
    "Whether we begin."
    compact: bool
    "Whether our offer has the compact form; an answer always has that of the offer."
    active: bool = False
    "Whether we begin the handshake as the answerer, as `Endpoint.describe` has it."


@asynccontextmanager
async def exchange(
    settings: Settings,
    manners: Manners,
    emit: Emit,
    ask: Ask | None,
    make: Make[Peer],
    *,
    prepared: Callable[[Peer], None] = lambda peer: None,
) -> AsyncIterator[Peer]:
    """Yield a connection to the peer; closed at the end, whatever happens.

    Args:
        settings: `code` may hold the other side's offer.
        manners: what to do first, and how.
        emit: told our description.
        ask: for theirs.
        make: of `loading`: what kind of connection it shall be.
        prepared: given the connection when both descriptions are known, before it connects.

    Raises:
        DcsendError: a description is of no use, or no connection came about.
    """
    servers = Servers(
        tuple(parse_server(server) for server in settings.stun),
        tuple(parse_turn(server) for server in settings.turn),
        settings.stun_timeout,
        tuple(parse_server(server) for server in settings.diagnosing),
    )
    theirs: Description | None = None
    text = settings.code
    if text:
        theirs = blob.decode(text, SdpType.OFFER)
    elif not manners.offers:
        text = await _asked(ask, SdpType.OFFER, settings.expires)
        theirs = blob.decode(text, SdpType.OFFER)
    endpoint = await Endpoint.open(servers, port=settings.port, addresses=settings.addresses)
    try:
        with reported_first(emit):
            for problem in endpoint.problems:
                emit(Warned("server", problem.message, problem.hint))
            changes = nullcontext() if settings.addresses else ChangeNotes(emit)
            if theirs is None:
                ours = endpoint.describe(SdpType.OFFER)
                _show(ours, emit, compact=manners.compact)
                async with changes:
                    text = await _asked(ask, None, settings.expires, ours)
                theirs = _of_the_other_side(text, ours)
            # A browser can't answer in time what a person pastes (see `engines.described`), so it
            # offers; then its offer counts, whatever we have shown.
            answers = theirs.type is SdpType.OFFER
            if answers:
                ours = endpoint.describe(SdpType.ANSWER, theirs, active=manners.active)
            peer = endpoint.prepare(ours, theirs, make)
    except BaseException:
        await endpoint.close()
        raise
    try:
        with reported_first(emit):
            if answers:
                _show(ours, emit, compact=blob.is_compact(text))
            prepared(peer)
            # Who answers waits for a person.
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
    """Ask for a description; not for ever."""
    if ask is None:
        raise UsageError("nobody can be asked for the other side's code", "pass ask=…")

    def judge(text: str) -> None:
        if ours is not None:
            _of_the_other_side(text, ours)
        else:
            blob.decode(text, wanted)

    try:
        async with asyncio.timeout(expires):
            return await ask(wanted, judge)
    except TimeoutError:
        raise TimedOut("nobody pasted the other side's code in time", "run it again") from None


def _of_the_other_side(text: str, ours: Description) -> Description:
    """Read a description, of either half, that is not the one we have shown."""
    theirs = blob.decode(text)
    if theirs.fingerprint == ours.fingerprint:
        raise MalformedCode(
            "this is the code that was shown here",
            "give it to the other side, and paste what is shown there",
        )
    return theirs


def _show(ours: Description, emit: Emit, *, compact: bool) -> None:
    text = blob.encode(ours) if compact else blob.encode_json(ours)
    emit(DescriptionReady(ours.type.value, text))
