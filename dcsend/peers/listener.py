"""The side that published a dial code: it waits on its UDP port for a dialer with the secret.

    datagram ─ source has a route ─────────────────────► the ICE endpoint of its dial
             └ unknown ─ response of a STUN server ────► mapped addresses
                       └ for the joiner of a short code ► the ICE endpoint of its `trickle`
                       └ check with the right secret ──► a new dial, or a new source of a dial
                       └ anything else ────────────────► discarded, or refused in one datagram

The secret is verified before anything is parsed. The constants bound what other hosts can cause.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, Generic

from dcsend.dtls.certificate import Certificate
from dcsend.errors import ConnectionFailed, DcsendError
from dcsend.ice.integrity import is_authentic, is_signed
from dcsend.ice.rate_limits import ReplayCache, RequestLimiter
from dcsend.ice.request_filter import CHECKS_PER_SECOND
from dcsend.ice.stun import MappedAddresses, is_binding_request
from dcsend.net.address import Address
from dcsend.net.source_address import LocalAddress
from dcsend.net.udp import UdpPort
from dcsend.peers.diagnosis import listener_facts
from dcsend.peers.incoming_dial import IncomingDial, incoming_dial
from dcsend.peers.joiners import Joiners, Receive, Taken, refused
from dcsend.peers.loading import Make, Peer, load_aiortc
from dcsend.peers.places import Asked, Places
from dcsend.peers.refusing import Refusals
from dcsend.peers.returning import Returns
from dcsend.peers.situations import Facts

if TYPE_CHECKING:
    from dcsend.ice.checks import Check, Refusal

__all__ = ["Listener", "half_open_timeout"]

logger = logging.getLogger(__name__)

MAX_HALF_OPEN: Final = 8
"Dials between their first check and open channels; each uses about 100 KB."
MAX_ABANDONED: Final = 64
"Names of abandoned dials that are kept; a delayed datagram arrives within a minute."
MAX_EARLY: Final = 16
"Datagrams that are kept until aiortc is loaded; dialers retransmit theirs."
HALF_OPEN_SECONDS: Final = 10.0
"Until a dial without open channels is dropped; on a LAN they open within 0.1 s."


def half_open_timeout() -> asyncio.Timeout:
    """Return the timeout of a dial without open channels."""
    return asyncio.timeout(HALF_OPEN_SECONDS)


class Listener(Generic[Peer]):
    """Accepts dialers until its places are taken or the code is used up, and refuses all others."""

    def __init__(
        self,
        port: UdpPort,
        *,
        certificate: Certificate,
        password: str,
        make: Make[Peer],
        stun_servers: Sequence[Address] = (),
        stun_chosen: bool = True,
        failed: Callable[[DcsendError], None] = lambda error: None,
        half_open: Callable[[], asyncio.Timeout] = half_open_timeout,
        max_half_open: int = MAX_HALF_OPEN,
        places: int = 1,
    ) -> None:
        """Receive from *port* from now on.

        Args:
            port: the UDP port; closed together with the listener.
            certificate: the code contains its fingerprint.
            password: the ice-pwd that both sides derive from the secret in the code.
            make: of `loading`: makes the connection to a dialer.
            stun_servers: STUN servers, for the public addresses of this side.
            stun_chosen: whether the user has named them.
            failed: called when a dialer with the right secret fails to connect.
            half_open: makes the timeout for each dial until its channels are open.
            max_half_open: the number of dials without open channels, at most.
            places: the number of peers that can be connected at once.
        """
        self.port = port
        self.mapped = MappedAddresses(port, stun_servers, chosen=stun_chosen)
        self.certificate = certificate
        self._password = password
        self._key = password.encode()
        self.make = make
        self._failed = failed
        self._half_open = half_open
        self._max_half_open = max_half_open
        self._early: deque[tuple[bytes, Address, LocalAddress | None]] = deque(maxlen=MAX_EARLY)
        self._loaded = False
        self.check_arrived = False
        "Whether a check with the right secret has arrived."
        self._giving_back = 0
        "Number of accepted connections that are being closed; then another dialer can connect."
        self._dials: dict[str, IncomingDial[Peer]] = {}
        self._joiners = Joiners()
        self._returns: Returns[Peer] = Returns()
        self._abandoned: deque[str] = deque(maxlen=MAX_ABANDONED)
        "Names of dials that were replaced by one from the same address."
        self._places: Places[Peer] = Places(places)
        self.asked, self.used = Asked(), asyncio.Event()
        "Set when a dialer with the right secret finds no free place; set by `use_up`."
        self.free, self.taken = self._places.free, self._places.full
        "Set while a place is free; set while none is."
        self.limit, self.keep = self._places.limit, self._places.keep
        "Those of `Places`."
        self._is_closed = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._cache = ReplayCache()
        self._limiter = RequestLimiter(self._cache, CHECKS_PER_SECOND)
        "Of checks of unknown sources with the right secret."
        self._refusals = Refusals(port, password)
        port.route_unknown(self._received_unknown)

    async def accept(self) -> Peer:
        """Wait for a dialer; without a free place, others are refused as busy until `give_back`.

        Raises:
            ConnectionFailed: the listener was closed.
            ImportError: aiortc can't be loaded.
        """
        await load_aiortc()
        self._loaded = True
        for datagram in self._early:
            self.port.redeliver(*datagram)
        self._early.clear()
        keep_alive = asyncio.create_task(self.mapped.keep_alive_always())
        try:
            dial = await self._places.next()
        finally:
            keep_alive.cancel()
            await asyncio.wait({keep_alive})
        return dial.connection

    @property
    def dials(self) -> Sequence[IncomingDial[Peer]]:
        """The dials in progress, and the accepted ones; oldest first."""
        return tuple(self._dials.values())

    def fingerprint(self, connection: Peer) -> bytes:
        """Return the fingerprint of an accepted peer's certificate."""
        return self._places.of(connection).fingerprint

    def is_deserted(self, connection: Peer) -> bool:
        """Whether an accepted peer no longer responds."""
        return self._places.of(connection).is_deserted

    def use_up(self) -> None:
        """Refuse all dialers but the accepted ones from now on: the code is used."""
        from dcsend.ice.checks import Refusal

        self._refuse_all(Refusal.USED)
        self.used.set()

    def let_return(self, connection: Peer) -> None:
        """Let an accepted dialer connect again, even if the code is used."""
        self._returns.permit(self._places.of(connection))

    async def returned(self, connection: Peer) -> Peer:
        """Wait for another connection of that dialer; `replace` or `drop` it."""
        return (await self._returns.next(self._places.of(connection))).connection

    def replace(self, former: Peer, connection: Peer) -> None:
        """Take a connection of `returned` for an accepted one; the caller closes the former."""
        name = self._places.of(former).name
        (dial,) = (one for one in self.dials if one.connection is connection)
        self._abandoned.append(name)
        self._dials.pop(name, None)
        self._joiners.remove(name)
        self._places.replace(former, dial)
        self._returns.permit(dial)

    async def drop(self, connection: Peer) -> None:
        """Close a connection of `returned` that is not used."""
        for dial in (one for one in self.dials if one.connection is connection):
            del self._dials[dial.name]
            self._joiners.remove(dial.name)
        await connection.close()

    async def give_back(self, connection: Peer) -> None:
        """Close an accepted connection; then its place is free."""
        dial = self._places.of(connection)
        # A delayed datagram of this dialer must not start a dial.
        self._abandoned.append(dial.name)
        self._returns.revoke(dial)
        self._giving_back += 1
        try:
            await connection.close()
        finally:
            self._giving_back -= 1
        self._dials.pop(dial.name, None)
        self._joiners.remove(dial.name)
        self._places.leave(connection)

    def attach(self, name: str, receive: Receive, *, again: bool = False) -> None:
        """Let a joiner use this port, besides the dialers of the code.

        Args:
            name: our ice-ufrag for that joiner, which nothing else uses.
            receive: called with datagrams of sources without a route, and with checks that another
                peer of this listener does not authenticate.
            again: whether it is the accepted one, which connects again.

        Raises:
            Taken: another peer is connected, or has used the code.
            CodeExpired: the code has expired.
        """
        refusal = self._places.refusal
        if refusal is not None and not (again or self._giving_back):
            self.asked.by("")
            raise refused(refusal, closed=False)
        self._joiners.add(name, receive)

    def detach(self, name: str) -> None:
        """End `attach`, unless the joiner was accepted; idempotent."""
        self._joiners.remove(name)

    async def admit(self, joiner: IncomingDial[Peer]) -> None:
        """Connect an attached joiner; `accept` returns its connection as that of a dialer.

        The caller bounds the time. Unless the joiner is accepted, the caller closes its connection
        and calls `detach`, until when answers of STUN servers still arrive.

        Raises:
            Taken, CodeExpired: as `attach`.
            DcsendError: as `PeerConnection.establish`.
        """
        self._dials[joiner.name] = joiner
        # A task, since this listener cancels dials, and must not cancel the caller.
        task = asyncio.create_task(joiner.establish())
        self._keep(task)
        won = False
        try:
            await asyncio.wait({task})
            if task.cancelled():
                raise refused(self._places.refusal, closed=self._is_closed)
            task.result()
            if not (won := self._win(joiner)):
                raise Taken
        finally:
            if not won:
                joiner.cancel()
                await asyncio.wait({task})
                self._dials.pop(joiner.name, None)
                await joiner.connection.close()
        self.check_arrived = True

    def facts(self) -> Facts:
        """Return what is known about how this side can be reached."""
        return listener_facts(self.port.port, self.mapped, check_arrived=self.check_arrived)

    async def expire(self) -> None:
        """Refuse all dialers that are not connected: the code has expired."""
        await load_aiortc()
        from dcsend.ice.checks import Refusal

        self._refuse_all(Refusal.EXPIRED)
        await self._end_tasks()

    async def close(self) -> None:
        """Close every connection and the port; idempotent."""
        self.port.route_unknown(None)
        self._is_closed = True
        self._places.close()
        try:
            for dial in self._dials.values():
                dial.cancel()
            await self._end_tasks()
            for dial in list(self._dials.values()):
                await dial.connection.close()
        finally:
            await self.port.close()

    async def _end_tasks(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _refuse_all(self, refusal: Refusal) -> None:
        """Answer new dialers with *refusal* from now on; cancel all dials that have no place."""
        logger.debug("dialers are refused from now on: %s", refusal.name)
        self._places.end(refusal)
        self._cancel_waiting()

    def _cancel_waiting(self) -> None:
        for dial in self._waiting:
            if not self._returns.is_by(dial.fingerprint):
                dial.cancel()

    @property
    def _waiting(self) -> Sequence[IncomingDial[Peer]]:
        """The dials that have no place; oldest first."""
        return [dial for dial in self._dials.values() if dial not in self._places]

    def _received_unknown(self, data: bytes, source: Address) -> None:
        """Handle a datagram of a source without a route; the cheapest test is the first."""
        if self.mapped.received(data, source) or self._is_for_joiner(data, source):
            return
        if not is_binding_request(data) or not is_signed(data):
            return
        if not is_authentic(data, self._key):
            self._refuse_secret(data, source)
        elif not self._loaded:
            if all(data != early for early, *_ in self._early):
                self._early.append((data, source, self.port.arrival(source)))
        elif self._limiter.admits(data, source, asyncio.get_running_loop().time()):
            self._received_check(data, source)

    def _is_for_joiner(self, data: bytes, source: Address) -> bool:
        return self._holder(source) is None and self._joiners.received(data, source)

    def _holder(self, source: Address) -> IncomingDial[Peer] | None:
        """Return the accepted peer whose address this is.

        Its datagrams are passed to that peer. One that another peer has sent, or has forged, must
        not change that.
        """
        return None if self.port.routed(source) is None else self._places.at(source)

    def received_forged(self, data: bytes, source: Address) -> None:
        """Handle a check whose source has a route to a peer that does not authenticate it."""
        self._received_unknown(data, source)

    def _refuse_secret(self, data: bytes, source: Address) -> None:
        if self._loaded:
            self._refusals.refuse_secret(data, source)

    def _received_check(self, data: bytes, source: Address) -> None:
        """Handle an authentic check of a source without a route."""
        from dcsend.ice.checks import parse_check

        check = parse_check(data)
        if check is None:
            return
        name, transaction_id = check.credentials.local_ufrag, check.message.transaction_id
        if name in self._abandoned:
            return  # delayed, or duplicated on the path
        is_accepted = self._holder(source) is not None
        if (dial := self._dials.get(name)) is not None:
            if not is_accepted:
                self._add_source(dial, check, source)
        elif self._returns.is_by(check.credentials.fingerprint):
            # A copy is not answered: the dialer would take a refusal for one of its own check.
            if self._cache.is_new(transaction_id) and not is_accepted:
                self._returns.ask(check, source, self._begin)
        elif (refusal := self._places.refusal) is not None or is_accepted:
            # While a connection is being closed, the dialer can connect with its next check. After
            # a refusal Firefox 153 would send none: it takes the candidate pair for failed.
            if not self._giving_back:
                self._refuse(check, refusal, source)
        elif self._cache.is_new(transaction_id) and len(self._waiting) < self._max_half_open:
            self._begin(check, source)

    def _refuse(self, check: Check, refusal: Refusal | None, source: Address) -> None:
        """Answer a dialer other than those that are accepted; *refusal* is None for busy."""
        from dcsend.ice.checks import Refusal

        refusal = refusal or Refusal.BUSY
        if refusal is Refusal.BUSY:
            holder = self._holder(source)
            # A copy of a handled check must not replace the accepted dialer.
            if self._cache.is_new(check.message.transaction_id):
                self.asked.by(source[0], holder and holder.connection)
            rivals = self._places if holder is None else (holder,)
            if any(one.is_deserted and not one.is_kept for one in rivals):
                return  # not refused: the dialer can connect with its next check
        self._cache.add(check.message.transaction_id, source)
        self._refusals.refuse(check, refusal, source)

    def _add_source(self, dial: IncomingDial[Peer], check: Check, source: Address) -> None:
        if dial.endpoint.add_source(check.message, source):
            self._cache.add(check.message.transaction_id, source)

    def _begin(self, check: Check, source: Address) -> None:
        if self._is_closed:
            return
        self.check_arrived = True
        logger.debug("check from %s: a new dial, besides %d", source, len(self._dials))
        self._abandon(self._waiting[: max(0, len(self._waiting) - self._max_half_open + 1)])
        self._abandon([old for old in self._waiting if old.endpoint.has_route(source)])
        dial = self._dials[check.credentials.local_ufrag] = self._new_dial(check)
        self._add_source(dial, check, source)
        self._keep(asyncio.create_task(self._establish(dial)))

    def _abandon(self, dials: Iterable[IncomingDial[Peer]]) -> None:
        for dial in dials:
            self._abandoned.append(dial.name)
            dial.abandon()

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _new_dial(self, check: Check) -> IncomingDial[Peer]:
        return incoming_dial(
            check,
            self.port,
            self._password,
            self.certificate,
            self.make,
            self._cache,
            unknown=self._received_unknown,
            forged=self._received_forged_check,
        )

    def _received_forged_check(self, data: bytes, source: Address) -> None:
        if is_signed(data) and not self._is_for_joiner(data, source):
            self._refuse_secret(data, source)

    async def _establish(self, dial: IncomingDial[Peer]) -> None:
        """Connect one dial up to open channels, or drop it."""
        error: DcsendError | None = None
        won = False
        try:
            async with self._half_open():
                await dial.establish()
            won = self._win(dial)
        except TimeoutError:
            error = ConnectionFailed("a dialer with the right secret did not finish connecting")
        except DcsendError as exc:
            error = exc
        finally:
            if not won:
                self._dials.pop(dial.name, None)
                await dial.connection.close()
        logger.debug("dial: %s", "accepted" if won else error or "another one is accepted")
        if error is not None and not self._returns.is_by(dial.fingerprint):
            self._failed(error)

    def _win(self, dial: IncomingDial[Peer]) -> bool:
        """Accept *dial*, if there is a place for it."""
        if self._returns.completed(dial):
            return True
        if not self._places.take(dial):
            return False
        self.asked.clear()
        if self.taken.is_set():
            self._cancel_waiting()
        return True
