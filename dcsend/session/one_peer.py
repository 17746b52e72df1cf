"""The transfer with one connected peer, up to the end of its connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from dcsend.errors import DcsendError, LocalProtocolError
from dcsend.peers.contract import Connection
from dcsend.session.arrivals import Arrivals
from dcsend.session.outcome import Tally
from dcsend.settings import Settings

if TYPE_CHECKING:
    from dcsend.session.control import ConnectedPeer
    from dcsend.session.conversation import Room
    from dcsend.session.incoming import Incoming
    from dcsend.session.outgoing import Outgoing

__all__ = ["Half", "converse"]

Half = Callable[["ConnectedPeer", Tally, Arrivals], Awaitable["Outgoing | Incoming"]]
"Makes the half of this side for a connected peer."


async def converse(
    connection: Connection,
    arrivals: Arrivals,
    half: Half,
    settings: Settings,
    tally: Tally,
    lines: asyncio.Queue[str] | None,
    room: Room | None,
) -> bool:
    """Transfer with one peer; return False if it has left and another one may follow.

    A peer that has lost its state and connected again begins anew.

    Args:
        connection: to the peer.
        arrivals: from which it comes.
        half: makes the half of this side.
        settings: of the run.
        tally: counts what is achieved with the peer, and gets the events.
        lines: typed meanwhile.
        room: as of `Conversation`.

    Raises:
        DcsendError: a person has declined, or the transfer is incomplete.
    """
    from dcsend.session.links import BegunAnew

    is_anew = False
    while True:
        try:
            parts = (connection, arrivals, half, settings, tally, lines, room)
            return await _once(*parts, is_anew=is_anew)
        except BegunAnew as begun:
            is_anew = True
            connection = await arrivals.begin_anew(begun)
            tally.begin_anew()


async def _once(
    connection: Connection,
    arrivals: Arrivals,
    half: Half,
    settings: Settings,
    tally: Tally,
    lines: asyncio.Queue[str] | None,
    room: Room | None,
    *,
    is_anew: bool,
) -> bool:
    from dcsend.session.control import ConnectedPeer
    from dcsend.session.conversation import Conversation
    from dcsend.session.lasting import LastingConnection
    from dcsend.session.links import BegunAnew

    lasting = connection if isinstance(connection, LastingConnection) else None
    conversation = Conversation(
        connection,
        settings,
        tally.emit,
        lines,
        room,
        interrupted=lasting.is_interrupted if lasting else None,
    )
    tally.meet(arrivals.once if settings.reconnect else "")
    features = lasting.features if lasting else ()
    peer = ConnectedPeer(connection, conversation, arrivals.is_last, features)
    mine = await half(peer, tally, arrivals)
    try:
        await conversation.run(mine, arrivals.displaced())
    except DcsendError as error:
        from dcsend.session.dry_run import DryRun

        if isinstance(error, DryRun):
            return True
        if mine.answered or is_anew or isinstance(error, LocalProtocolError | BegunAnew):
            raise
        control = mine.control
        await arrivals.parted(error, introduced=control.introduced, is_last=control.code_is_used)
        return False
    return True
