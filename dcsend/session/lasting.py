"""A connection that goes on after its path is lost, over one peer connection after the other.

in doubt or interrupted ─┬─► the path answers again ──────► in use
    (`interruption`)     ├─► another connection takes over ► in use
                         └─► the time is over ─────────────► the error

While it is interrupted, calls wait in place of raising an error. What the peer has not received is
sent again. Neither happens before the transfer is accepted, nor if one side has closed it.

    dialer:    dials, sends Resume ─────────────────────► reads Resume, takes over
    listener:  reads Resume, sends Resume, takes over ───┘

From its Resume on, a side takes nothing more from the former connection, since the peer will send
it again. A peer that has lost its state, as a page that was loaded again, sends Hello in place of
Resume. Then the transfer begins anew over the new connection (`BegunAnew`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from dcsend.errors import CodeExpired, CodeUsed, ConnectionFailed, DcsendError, RemoteProtocolError
from dcsend.net.address import Address
from dcsend.peers.contract import LABELS, ConnectionLost, Route
from dcsend.peers.tasks import Tasks
from dcsend.protocol.messages import ANEW, RECONNECT
from dcsend.protocol.receipts import AWAY, Receipt, encode_receipt, is_receipt, read_receipt
from dcsend.session.events import Disconnected, Emit, Reconnected
from dcsend.session.interruption import SILENT, Interruption, LinkState
from dcsend.session.lasting_channel import LastingChannel
from dcsend.session.links import BegunAnew, PeerLink, Unproven, Way, first_message, hello_of
from dcsend.session.outcome import BOTH_READY

__all__ = ["ANSWERING", "RELOAD_SECONDS", "TAKE_OVER", "LastingConnection"]

logger = logging.getLogger(__name__)

_POLL: Final = 0.25
"Seconds between two looks at the time of the last datagram."
_LATE: Final = 1.0
"""Seconds after which a look is too late to be of use: this program was stopped, or had no
processor, and the datagrams that have arrived are not read yet."""
TAKE_OVER: Final = 10.0
"Seconds for the Resume of the peer on a new connection."
RELOAD_SECONDS: Final = 15.0
"Seconds for a peer that has announced the loss of its state: it was loaded again, or closed."
_CLOSED: Final = "the other side's page was closed"
"The error if that peer does not connect again."
_UNANSWERED: Final = "the connection was lost before your answer had arrived at the other side"
"Accept was lost. The listener has given its code back, and begins anew with each dialer."
_ENDED: Final = "the other side has ended this transfer while the connection was lost"
"The same, after content has arrived. Another device may have the place of this one there."
ANSWERING: Final = 60.0
"Seconds without a connection, at most, while the peer may not have the answer of this side."
_RECEIPT_BYTES: Final = 1024 * 1024
"Bytes received after which that is confirmed: an eighth of the window."
_RECEIPT_MESSAGES: Final = 64
"Messages after which they are confirmed, too."


class LastingConnection:
    """The connections with one peer, as one; see `peers.contract.Connection`."""

    def __init__(self, link: PeerLink, way: Way, emit: Emit, limit: float) -> None:
        """Begin with the first connection.

        Args:
            link: the first connection.
            way: to the next one.
            emit: gets Disconnected and Reconnected.
            limit: seconds without a connection, at most.
        """
        self.link = link
        self.keeps = True
        "Whether the peer can connect again, as far as is known."
        self.lasts = False
        "Whether the transfer goes on when the link is lost."
        self._way = way
        self._emit = emit
        self._limit = limit
        self._clock = asyncio.get_running_loop().time
        self._channels = {label: LastingChannel(self, link.channels[label]) for label in LABELS}
        self.channels: Mapping[str, LastingChannel] = self._channels
        self._peer_lasts: bool | None = None
        "Whether the peer can connect again; None before its Hello."
        self._peer_sends = False
        "Whether the peer is the sender, so that it gets an answer of this side."
        self._arrived_before = 0
        "Messages of the peer that have arrived before the transfer was accepted."
        self._address: Address | None = None
        self._dead: ConnectionFailed | None = None
        "How the link was lost."
        self._answered = True
        "Whether the peer uses the link: a dialer may give up while this side takes over."
        self._frozen = False
        "Whether another connection is about to take over: nothing is taken from this one."
        self._end: DcsendError | None = None
        self._begins_anew = False
        "Whether a peer that has lost its state can connect again."
        self._is_anew = False
        "Whether the transfer was accepted before, over other connections."
        self._change = asyncio.Event()
        self._interruption = Interruption()
        self._lost_at: float | None = None
        "When the last datagram arrived, while it is interrupted."
        self._tasks = Tasks()
        self._renewal: asyncio.Task[None] | None = None
        self._unproven = Unproven()
        self._since_receipt = [0, 0]
        "Messages and bytes that have arrived since the last receipt."

    @property
    def route(self) -> Route:
        """The path in use."""
        return self.link.route

    @property
    def present(self) -> PeerLink:
        """The connection that the other side uses: the link, or the one on which it begins anew."""
        return self._end.link if isinstance(self._end, BegunAnew) else self.link

    def is_interrupted(self) -> bool:
        """Whether nothing arrives from the peer at the moment, and another link may be made."""
        lost = self._dead is not None or self._frozen or self._silence >= SILENT
        return self.lasts and self._end is None and lost

    def accepted(self) -> None:
        """Let the transfer go on when a link is lost, from now on, if the peer has the feature."""
        if self._peer_lasts and not self.lasts:
            self._arrived_before = self._arrived
            self.lasts = True
            self._way.open()
            self._tasks.begin(self._watch())
            if not self._way.dials:
                self._renewal = self._tasks.begin(self._renew())

    @property
    def features(self) -> tuple[str, ...]:
        """For Hello."""
        return (RECONNECT, ANEW) if self._begins_anew else (RECONNECT,)

    def allow_anew(self) -> None:
        """Let the peer begin anew if it has lost its state: calls then raise `BegunAnew`."""
        self._begins_anew = self._way.allows_anew

    def begin_anew(self, hello: bytes | str) -> None:
        """Take the peer's *hello*, which has been read; it lasts although nothing is accepted."""
        self._is_anew = True
        self._channels["control"].hold(hello)

    async def close(self) -> None:
        """End the connection at once; idempotent."""
        self.end(ConnectionFailed("the connection is closed"))
        await self._tasks.end()
        await self.link.close()
        await self._way.close()

    # --- for the channels

    @property
    def is_usable(self) -> bool:
        """Whether messages can be exchanged over the link."""
        return self._dead is None and not self._frozen and self._end is None

    def check(self) -> None:
        """Raise the error by which it has ended, if it has."""
        if self._end is not None:
            raise self._end

    async def usable(self) -> None:
        """Wait until messages can be exchanged."""
        while not self.is_usable:
            self.check()
            await self.changed()

    async def settled(self) -> None:
        """Wait while it is undecided whether another connection takes over."""
        while self._frozen and self._end is None:
            await self.changed()

    async def changed(self) -> None:
        """Wait for the next change of the link."""
        await self._change.wait()

    def notify(self) -> None:
        """End the calls of `changed`."""
        self._change.set()
        self._change = asyncio.Event()

    def ended(self, link: PeerLink, error: ConnectionFailed) -> None:
        """Handle the end of a link: raise *error*, unless another connection can take over."""
        if link is not self.link:
            return
        self.check()
        if not self._answered:
            error = ConnectionLost(error.message, error.hint)  # the peer has given the link up
        is_final = not (self.lasts and isinstance(error, ConnectionLost))
        if is_final and not self._frozen and self._dead is None:
            # The other channels of the link may have messages still.
            self.lasts = False
            if self._renewal is not None:
                self._renewal.cancel()
            self._unproven.end()
            raise error
        if self._dead is None:
            self._dead = error
        self._enter(LinkState.INTERRUPTED)
        self.notify()

    def end(self, error: DcsendError) -> None:
        """Let all calls raise *error* from now on; only the first call has an effect."""
        if self._end is None:
            self._end = error
            self.notify()
            # This ends the calls that wait for a message.
            self._tasks.begin(self.link.close())

    def takes(self, channel: LastingChannel, message: bytes | str) -> bool:
        """Take a message that is for the connection; return False if it is one of the transfer.

        Raises:
            RemoteProtocolError: it is not valid.
        """
        self._answered = True
        if channel.label != "control":
            return False
        if self._peer_lasts is None:
            self._learn(message)
        elif message == AWAY and self._begins_anew and self.lasts:
            # Whatever becomes of the link now, its peer is gone.
            self._dead = ConnectionLost(_CLOSED, BOTH_READY)
            self._limit = min(self._limit, RELOAD_SECONDS)
            self._enter(LinkState.INTERRUPTED)
            self.notify()
            return True
        elif self._peer_lasts and is_receipt(message):
            self._confirm(read_receipt(message))
            return True
        return False

    def arrived(self, message: bytes | str) -> None:
        """Count a message of the transfer, and confirm it now and then."""
        self._since_receipt[0] += 1
        self._since_receipt[1] += len(message)
        messages, size = self._since_receipt
        due = messages >= _RECEIPT_MESSAGES or size >= _RECEIPT_BYTES
        if due and self._peer_lasts and self.is_usable:
            try:
                sent = self.link.channels["control"].send(encode_receipt(self._receipt()))
            except ConnectionFailed:
                return  # the next call of `receive` handles it
            if sent:
                self._since_receipt = [0, 0]

    # --- interruptions

    @property
    def _arrived(self) -> int:
        """Messages that have arrived, except typed lines and keep-alive messages."""
        return self._channels["control"].received + self._channels["data"].received

    @property
    def _patience(self) -> float:
        """Seconds without a connection, at most."""
        is_unsure = not (self._is_answered or self._way.dials)
        return min(self._limit, ANSWERING) if is_unsure else self._limit

    @property
    def _is_answered(self) -> bool:
        """Whether the answer of this side, if the peer gets one, is sure to have arrived."""
        return not self._peer_sends or self._arrived != self._arrived_before

    @property
    def _silence(self) -> float:
        return self._clock() - self.link.received_at

    async def _watch(self) -> None:
        """Notice silence, its end, and that the time is over."""
        now = self._clock()
        while True:
            await asyncio.sleep(_POLL)
            if not self.lasts or self._end is not None:
                return
            before, now = now, self._clock()
            self._address = self.link.address or self._address
            if now - before < _LATE:
                usable, ready = self.is_usable, self._is_answered
                due = self._interruption.due(now, self._silence, usable=usable, ready=ready)
                self._enter(due)
            if self._lost_at is not None and now >= self._lost_at + self._patience:
                self._give_up()

    def _enter(self, state: LinkState, *, replaced: bool = False) -> None:
        """Begin or end to connect again; report an interruption."""
        former = self._interruption.enter(state, self._clock(), replaced=replaced)
        if state is former:
            return
        logger.debug("%s: silent for %.1f s, %s", state.name, self._silence, self._dead)
        if state is LinkState.INTERRUPTED:
            silence = max(0.0, self._silence)
            self._lost_at = self._clock() - silence
            self._emit(Disconnected(silence, self._patience))
        elif state is LinkState.IN_USE and self._lost_at is not None:
            self._emit(Reconnected(self._clock() - self._lost_at))
            self._lost_at = None
        if state is LinkState.IN_USE:
            self._way.regained()
        elif former is LinkState.IN_USE:
            self._way.lost()
        if self._way.dials:
            self._connect(state is not LinkState.IN_USE)

    def _connect(self, again: bool) -> None:
        """Begin to make another connection, or end the attempts."""
        if again and (self._renewal is None or self._renewal.done()):
            self._renewal = self._tasks.begin(self._renew())
        elif not again and self._renewal is not None:
            self._renewal.cancel()
            self._renewal = None

    def _give_up(self) -> None:
        is_answered = self._patience == self._limit
        silent = f"the other side has been silent for {self._silence:.0f} s"
        lost = ConnectionLost(silent if is_answered else _UNANSWERED, "run it again on both sides")
        self.end((is_answered and self._dead) or lost)

    async def _renew(self) -> None:
        """Make, or wait for, another connection, and let it take over."""
        while self.lasts and self._end is None:
            try:
                link = await self._way.another(self._address)
            except (CodeUsed, CodeExpired) as error:
                logger.debug("no other connection: %s", error)
                if self._lost_at is not None:  # a connection in doubt may still answer
                    self._give_up()
                return
            if not self._way.dials:
                self._unproven.add(self._tasks.begin(self._use(link)))
                continue
            await self._use(link)
            if self.link is link:
                return

    async def _use(self, link: PeerLink) -> None:
        """Let another connection take over, or drop it."""
        try:
            async with asyncio.timeout(TAKE_OVER):
                receipt = await self._exchange(link)
            self._take_over(link, receipt)
        except BegunAnew as begun:
            if self._end is None:
                self._way.replaced(link)
                self._renewal = None if self._way.dials else self._renewal
                self._enter(LinkState.IN_USE, replaced=True)
                self._end = begun
                self.notify()
                await self.link.discard()
        except (TimeoutError, ConnectionFailed) as error:
            logger.debug("another connection does not take over: %s", error)
        except RemoteProtocolError as error:
            self.end(error)
        finally:
            if self.present is not link:
                self._unfreeze()
                await self._way.drop(link)

    async def _exchange(self, link: PeerLink) -> Receipt:
        """Exchange Resume over a new connection; return that of the peer.

        Raises:
            BegunAnew: the peer has lost its state.
        """
        control = link.channels["control"]
        if not self._way.dials:
            message = await first_message(link, anew=self._begins_anew)
            receipt = read_receipt(message, resumes=True)
        self._frozen = True
        control.send(encode_receipt(self._receipt(), resumes=True))
        if self._way.dials:
            message = await first_message(link, anew=self._begins_anew)
            if hello_of(message) is not None:
                reason = _ENDED if self._channels["data"].received else _UNANSWERED
                self.end(ConnectionLost(reason, "run it again with the same code"))
            receipt = read_receipt(message, resumes=True)
        return receipt

    def _take_over(self, link: PeerLink, receipt: Receipt) -> None:
        self._confirm(receipt)
        self._unproven.proven()
        logger.debug("another connection takes over; received there: %s", receipt)
        former, self.link = self.link, link
        self._dead, self._frozen, self._answered = None, False, self._way.dials
        for channel in self._channels.values():
            channel.rewind()
            self._tasks.begin(self._send_again(link, channel))
        self._tasks.begin(former.discard())
        self._way.replaced(link)
        self._renewal = None if self._way.dials else self._renewal
        self._enter(LinkState.IN_USE, replaced=True)
        self.notify()

    def _unfreeze(self) -> None:
        """Go on with the present link, if it lives."""
        self._frozen = False
        if self._dead is not None and not isinstance(self._dead, ConnectionLost):
            self.end(self._dead)
        self.notify()

    async def _send_again(self, link: PeerLink, channel: LastingChannel) -> None:
        try:
            await channel.send_again(link)
        except ConnectionFailed as error:
            if link is self.link and self._dead is None:
                logger.debug("lost while messages are sent again: %s", error)
        self.notify()

    # --- receipts

    def _learn(self, message: bytes | str) -> None:
        """Note whether the peer can connect again, which is in its Hello."""
        hello = hello_of(message)
        self._peer_lasts = hello is not None and RECONNECT in hello.features
        self._peer_sends = hello is not None and hello.role == "sender"
        if not self._peer_lasts:
            self.keeps = False
            for channel in self._channels.values():
                channel.forget()
        if self._is_anew:
            self.accepted()

    def _receipt(self) -> Receipt:
        return Receipt(*(self._channels[label].received for label in Receipt._fields))

    def _confirm(self, receipt: Receipt) -> None:
        for label, count in zip(Receipt._fields, receipt, strict=True):
            self._channels[label].confirm(count)
