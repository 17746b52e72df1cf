"""The control channel of a transfer, for both halves: protocol messages in order, up to the end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dcsend.errors import ConnectionFailed, DcsendError
from dcsend.peers.contract import Channel, Connection, Route
from dcsend.printable import printable
from dcsend.protocol.events import Cancelled, Event, PeerIntroduced, PeerSaidBye
from dcsend.protocol.messages import BROWSER
from dcsend.protocol.receipts import is_receipt
from dcsend.protocol.side import Side, TransferState
from dcsend.session.events import Connected
from dcsend.session.outcome import Tally, cancel_reason, peer_cancelled

if TYPE_CHECKING:
    from dcsend.session.conversation import Conversation

__all__ = ["ConnectedPeer", "Control", "send_all"]

logger = logging.getLogger(__name__)


async def send_all(channel: Channel, messages: list[str]) -> None:
    """Send in order, waiting for room as often as it takes."""
    for message in messages:
        while not channel.send(message):
            await channel.writable()


@dataclass(frozen=True, slots=True)
class ConnectedPeer:
    """A connected peer: what is there before a half of a transfer is."""

    connection: Connection
    "Open."
    conversation: Conversation
    "The conversation on the text channel of that connection."
    is_last: bool = False
    "Whether the code of this run is not given back after this peer."
    features: Sequence[str] = ()
    "The features that this side names in Hello."


class Control:
    """Carries the messages of one side of the protocol.

    Args:
        peer: the peer.
        side: of the protocol; started by `follow`.
        tally: gets the events that mean the same to both halves.
        explain: returns the text of an error for the peer.
    """

    def __init__(
        self,
        peer: ConnectedPeer,
        side: Side,
        tally: Tally,
        explain: Callable[[BaseException], str] = str,
    ) -> None:
        self.explain: Final = explain
        self.introduced = False
        "Whether the peer's Hello has arrived."
        self.code_is_used = False
        "Whether the peer has answered a Decline with Cancel: its code does not work again."
        self._connection = peer.connection
        self._channel = peer.connection.channels["control"]
        self._conversation = peer.conversation
        self._side = side
        self._tally = tally
        self._sending = asyncio.Lock()

    async def follow(
        self, handle: Callable[[Event], Awaitable[bool]], taken: Callable[[], None]
    ) -> None:
        """Send Hello, and process the peer's messages until *handle* returns True.

        Args:
            handle: called with each event but Cancelled.
            taken: called after each message; sets the deadline of the next one.

        Raises:
            DcsendError: the peer has cancelled or broken a rule, or the connection is lost.
        """
        self._side.start()
        self._conversation.expect(
            "did not introduce itself in time", self._conversation.deadlines.hello
        )
        await self.flush()
        while True:
            message = await self._channel.receive()
            self._conversation.note_arrival()
            if self._side.state is TransferState.GREETING and is_receipt(message):
                # Accept was lost: this side has ended what the peer has accepted.
                raise ConnectionFailed("it goes on with a transfer that has ended here")
            for event in self._side.receive(message):
                self._attend(event)
                if await handle(event):
                    return
            taken()
            await self.flush()

    async def flush(self) -> None:
        """Send what the protocol has queued; calls of several tasks keep the order."""
        async with self._sending:
            while messages := self._side.messages_to_send():
                await send_all(self._channel, messages)

    async def reassure(self, works: Callable[[], bool]) -> None:
        """Send Working in intervals while *works* or a full display makes the peer wait."""
        while True:
            await asyncio.sleep(self._conversation.deadlines.working)
            if works() or self._conversation.held_up:
                self._side.working()
                await self.flush()

    async def cancel(self, error: BaseException) -> None:
        """Send Cancel, and wait until the peer closes, unless the peer has ended the transfer.

        After Decline or Complete, there is no Cancel, and the peer's answer is awaited.
        """
        peer_ended = self._side.state in (TransferState.CANCELLED, TransferState.DONE)
        reason = cancel_reason(error)
        with contextlib.suppress(DcsendError):
            self._side.cancel(reason, self.explain(error))
            logger.debug("Cancel is sent, reason %s", reason)
        await self.flush()
        while not peer_ended:
            message = await self._channel.receive()
            if self._side.state in (TransferState.DECLINED, TransferState.COMPLETED):
                for event in self._side.receive(message):
                    self._attend(event)
                    return

    def _attend(self, event: Event) -> None:
        """Process what means the same to both halves."""
        match event:
            case Cancelled(reason, message):
                logger.debug("Cancel has arrived, reason %s", printable(reason))
                raise peer_cancelled(reason, message)
            case PeerSaidBye(by_cancel):
                self.code_is_used = by_cancel
            case PeerIntroduced():
                self.introduced = True
                self._conversation.introduced(event.features)
                self._tally.introduce(event.name, self._connection.route.remote)
                self._tally.emit(_connected(self._connection.route, event))
            case _:
                pass


def _connected(route: Route, peer: PeerIntroduced) -> Connected:
    way = (route.path.value, route.family, route.remote)
    rtt = None if route.rtt is None else route.rtt * 1000
    return Connected(*way, peer.agent, rtt, peer.name, is_browser=BROWSER in peer.features)
