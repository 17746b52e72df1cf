"""Two sides with a mailbox exchange their candidates while they connect: for both halves.

ours:    found ─► sealed ─► mailbox        theirs: mailbox ─► opened ─► ICE
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

from dcsend.description import Candidate, Description
from dcsend.errors import CodeUsed, ConnectionFailed, DcsendError
from dcsend.peers.loading import Peer
from dcsend.peers.trickle import PATIENCE, Trickle
from dcsend.printable import printable
from dcsend.rendezvous.items import Bye, End, Item, Network
from dcsend.session.ice_settings import as_item, from_item

__all__ = ["LONGEST", "Carrier", "Party", "connect", "refusal", "say_bye", "sending"]

logger = logging.getLogger(__name__)

LONGEST: Final = 30.0
"""Seconds until an attempt ends if the end of the peer's candidates does not arrive. It comes 6 s
after the description at the latest; `trickle.PATIENCE` is the time after that."""

_OWN_ERROR: Final = 4.0
"""Seconds for the error of this side after that of the peer, which has the next step here: STUN
servers are queried for 2 s."""
_MAX_MESSAGE: Final = 150
"UTF-8 bytes of the message in a bye."


class Party(Protocol):
    """One side of the handshake of a short code, after its confirmation."""

    def seal(self, items: Sequence[Item]) -> tuple[str, bytes]:
        """Return the next phase and its body."""
        ...

    def received(self, phase: str, body: bytes) -> Sequence[Item]:
        """Return the items that are due, in order."""
        ...


class Carrier(Protocol):
    """Carries the messages; a `Mailbox` is one."""

    def add(self, phase: str, body: bytes) -> None:
        """As `Mailbox.add`."""
        ...

    async def next(self) -> tuple[str, bytes]:
        """As `Mailbox.next`."""
        ...


async def connect(
    trickle: Trickle[Peer],
    theirs: Description,
    mailbox: Carrier,
    party: Party,
    early: Sequence[Item],
    *,
    longest: float = LONGEST,
    patience: float = PATIENCE,
) -> Peer:
    """Connect while the peer's candidates arrive; return the connected peer.

    Args:
        trickle: ICE with the peer, whose local description has been sent.
        theirs: the peer's description.
        mailbox: for candidates of the peer.
        party: opens them.
        early: items that came with the description.
        longest: seconds; see `LONGEST`.
        patience: as in `Trickle.establish`.

    Raises:
        DcsendError: no path was found, or the peer has sent the reason why it does not connect.
    """
    end: asyncio.Future[Bye] = asyncio.get_running_loop().create_future()
    receive = asyncio.create_task(_receive(trickle, mailbox, party, early, end))
    establish = asyncio.create_task(trickle.establish(theirs, timeout=longest, patience=patience))
    try:
        either: set[asyncio.Future[Any]] = {establish, end}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not establish.done():
            bye = end.result()
            if bye.reason == "error":
                trickle.give_up(printable(bye.message))
                await asyncio.wait({establish}, timeout=_OWN_ERROR)
            if not establish.done():
                raise refusal(bye)
        return await establish
    finally:
        tasks = {receive, establish}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@asynccontextmanager
async def sending(trickle: Trickle[Peer], mailbox: Carrier, party: Party) -> AsyncIterator[None]:
    """Send our candidates as they are found, while the body runs.

    Args:
        trickle: ICE with the peer, whose local description has been sent.
        mailbox: for our candidates.
        party: seals them.
    """
    send = asyncio.create_task(_send(trickle, mailbox, party))
    try:
        yield
    finally:
        send.cancel()
        await asyncio.wait({send})


async def _send(trickle: Trickle[Peer], mailbox: Carrier, party: Party) -> None:
    """Send our candidates as they are found, and then the end of candidates."""
    try:
        async for candidate in trickle.outgoing():
            mailbox.add(*party.seal([candidate]))
        mailbox.add(*party.seal([End()]))
        mailbox.add(*party.seal([as_item(await trickle.network())]))
    except DcsendError as exc:
        logger.debug("no more of our candidates are sent: %s", exc)


async def _receive(
    trickle: Trickle[Peer],
    mailbox: Carrier,
    party: Party,
    early: Sequence[Item],
    end: asyncio.Future[Bye],
) -> None:
    """Pass on the candidates of the peer; set *end* if the peer does not connect.

    Without the mailbox a path may still be found, with the candidates that are there.
    """
    items = early
    while True:
        for item in items:
            match item:
                case Candidate():
                    await trickle.add(item)
                case End():
                    trickle.end()
                case Network():
                    trickle.set_network(from_item(item))
                case Bye() if not end.done():
                    end.set_result(item)
        try:
            items = party.received(*await mailbox.next())
        except DcsendError as exc:
            logger.debug("no more candidates of the peer: %s", exc)
            return


def say_bye(mailbox: Carrier, party: Party, reason: str, message: str = "") -> None:
    """Send why this side does not connect, unless the exchange has failed: R-36."""
    clipped = message.encode()[:_MAX_MESSAGE].decode(errors="ignore").replace("\0", "")
    with contextlib.suppress(DcsendError):
        mailbox.add(*party.seal([Bye(reason, clipped)]))


def refusal(bye: Bye) -> DcsendError:
    """Return the error for a peer that does not connect."""
    match bye.reason:
        case "used":
            return CodeUsed("another device has used the code")
        case "busy":
            return ConnectionFailed(
                "another device is connected to the other side", "ask for a new code"
            )
        case "interrupted":
            return ConnectionFailed("the other side has ended the attempt")
        case _:
            return ConnectionFailed(f"the other side does not connect: {printable(bye.message)}")
