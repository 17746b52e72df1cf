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
from dataclasses import replace
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
from dcsend.peers.diagnosis import local_facts
from dcsend.peers.incoming_dial import IncomingDial, request_filter
from dcsend.peers.joiners import Joiners, Receive, Taken, refused
from dcsend.peers.loading import Make, Peer, load_aiortc
from dcsend.peers.refusing import Refusals
from dcsend.peers.returning import Returns
from dcsend.peers.situations import Facts, RemoteAddress, Role

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
GONE_SECONDS: Final = 3.5
"""Without a datagram of the accepted dialer until another one can replace it. By then consent was
checked every second (`ice.consent`), and every ICE agent responds."""


def half_open_timeout() -> asyncio.Timeout:
    """Return the timeout of a dial without open channels."""
    return asyncio.timeout(HALF_OPEN_SECONDS)


class Listener(Generic[Peer]):
    """Accepts one dialer at a time until the code is used up, and refuses all others."""

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
        self.heard = False
        "Whether a check with the right secret has arrived."
        self._refusal: Refusal | None = None
        self._giving_back = False
        "Whether the accepted connection is being closed; then another dialer can connect."
        self._dials: dict[str, IncomingDial[Peer]] = {}
        self._joiners = Joiners()
        self._returns: Returns[Peer] = Returns()
        self._abandoned: deque[str] = deque(maxlen=MAX_ABANDONED)
        "Names of dials that were replaced by one from the same address."
        self._accepted: asyncio.Future[IncomingDial[Peer]] = asyncio.Future()
        self.asked = asyncio.Event()
        "Set when a dialer with the right secret is refused because one is accepted."
        self.free, self.taken, self.used = asyncio.Event(), asyncio.Event(), asyncio.Event()
        "Set while no peer is accepted; set while one is; set by `use_up`."
        self.free.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._cache = ReplayCache()
        self._limiter = RequestLimiter(self._cache, CHECKS_PER_SECOND)
        "Of checks of unknown sources with the right secret."
        self._refusals = Refusals(port, password)
        port.route_unknown(self._received_unknown)

    async def accept(self) -> Peer:
        """Wait for a dialer; others are refused as busy until `use_up` or `give_back`.

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
            dial = await asyncio.shield(self._accepted)
        finally:
            keep_alive.cancel()
            await asyncio.wait({keep_alive})
        return dial.connection

    @property
    def dials(self) -> Sequence[IncomingDial[Peer]]:
        """The dials in progress, and the accepted one; oldest first."""
        return tuple(self._dials.values())

    @property
    def fingerprint(self) -> bytes:
        """That of the accepted peer's certificate."""
        return self._accepted.result().fingerprint

    @property
    def is_deserted(self) -> bool:
        """Whether the accepted dialer no longer responds."""
        now = asyncio.get_running_loop().time()
        return now - self._accepted.result().endpoint.received_at >= GONE_SECONDS

    def use_up(self) -> None:
        """Refuse all dialers but the accepted one from now on: the code is used."""
        from dcsend.ice.checks import Refusal

        self._refuse_all(Refusal.USED, keep=self._accepted.result())
        self.used.set()

    def let_return(self) -> None:
        """Let the accepted dialer connect again, although the code is used."""
        self._returns.permit(self._accepted.result())

    async def returned(self) -> Peer:
        """Wait for another connection of that dialer; `replace` or `drop` it."""
        return (await self._returns.next()).connection

    def replace(self, connection: Peer) -> None:
        """Take a connection of `returned` for the accepted one; the caller closes the former."""
        (dial,) = (one for one in self.dials if one.connection is connection)
        name = self._accepted.result().name
        self._abandoned.append(name)
        self._dials.pop(name, None)
        self._joiners.remove(name)
        self._accepted = asyncio.Future()
        self._accepted.set_result(dial)
        self._returns.permit(dial)

    async def drop(self, connection: Peer) -> None:
        """Close a connection of `returned` that is not used."""
        for dial in (one for one in self.dials if one.connection is connection):
            del self._dials[dial.name]
            self._joiners.remove(dial.name)
        await connection.close()

    async def give_back(self) -> None:
        """Close the accepted connection, and accept dialers again."""
        dial = self._accepted.result()
        # A delayed datagram of this dialer must not start a dial.
        self._abandoned.append(dial.name)
        self._giving_back = True
        try:
            await dial.connection.close()
        finally:
            self._giving_back = False
        self._dials.pop(dial.name, None)
        self._joiners.remove(dial.name)
        self._accepted = asyncio.Future()
        self._refusal = None
        self.taken.clear()
        self.free.set()

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
        if self._refusal is not None and not (again or self._giving_back):
            self.asked.set()
            raise refused(self._refusal, closed=False)
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
                closed = self._accepted.done() and self._accepted.exception() is not None
                raise refused(self._refusal, closed=closed)
            task.result()
            if not (won := self._win(joiner)):
                raise Taken
        finally:
            if not won:
                joiner.cancel()
                await asyncio.wait({task})
                self._dials.pop(joiner.name, None)
                await joiner.connection.close()
        self.heard = True

    def facts(self) -> Facts:
        """Return what is known about how this side can be reached."""
        facts = local_facts(Role.LISTENER, ())
        return replace(
            facts,
            theirs=tuple(RemoteAddress(str(one.ip), self.port.port) for one in facts.own),
            heard=self.heard,
            servers=tuple(f"{host}:{port}" for host, port in self.mapped.servers),
            mapped=tuple(self.mapped.answers.values()),
        )

    async def expire(self) -> None:
        """Refuse all dialers that are not connected: the code has expired."""
        await load_aiortc()
        from dcsend.ice.checks import Refusal

        if not self._accepted.done():
            self._refuse_all(Refusal.EXPIRED)
        await self._end_tasks()

    async def close(self) -> None:
        """Close every connection and the port; idempotent."""
        self.port.route_unknown(None)
        if not self._accepted.done():
            self._accepted.set_exception(ConnectionFailed("the listener is closed"))
            self._accepted.exception()  # it may not be awaited
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

    def _refuse_all(self, refusal: Refusal, keep: IncomingDial[Peer] | None = None) -> None:
        """Answer new dialers with *refusal* from now on; cancel all dials but *keep*."""
        logger.debug("dialers are refused from now on: %s", refusal.name)
        self._refusal = refusal
        for dial in self._dials.values():
            if dial is not keep:
                dial.cancel()

    def _received_unknown(self, data: bytes, source: Address) -> None:
        """Handle a datagram of a source without a route; the cheapest test is the first."""
        if self.mapped.received(data, source) or self._joiners.received(data, source):
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
        if (dial := self._dials.get(name)) is not None:
            self._add_source(dial, check, source)
        elif self._returns.is_by(check.credentials.fingerprint):
            # A copy is not answered: the dialer would take a refusal for one of its own check.
            if self._cache.is_new(transaction_id) and self._returns.is_new(check, source):
                self._abandon(self._returns.surplus(self.dials, self._max_half_open))
                self._begin(check, source)
        elif self._giving_back:
            # The dialer can connect with its next check. After a refusal Firefox 153 would send
            # none: it takes the candidate pair for failed.
            return
        elif self._refusal is not None:
            self._refuse(check, self._refusal, source)
        elif self._cache.is_new(transaction_id) and len(self._dials) < self._max_half_open:
            self._begin(check, source)

    def _refuse(self, check: Check, refusal: Refusal, source: Address) -> None:
        """Answer a dialer other than the accepted one."""
        if refusal.name == "BUSY":
            # A copy of a handled check must not replace the accepted dialer.
            if self._cache.is_new(check.message.transaction_id):
                self.asked.set()
            if self.is_deserted:
                return  # not refused: the dialer can connect with its next check
        self._cache.add(check.message.transaction_id, source)
        self._refusals.refuse(check, refusal, source)

    def _add_source(self, dial: IncomingDial[Peer], check: Check, source: Address) -> None:
        if dial.endpoint.add_source(check.message, source):
            self._cache.add(check.message.transaction_id, source)

    def _begin(self, check: Check, source: Address) -> None:
        self.heard = True
        logger.debug("check from %s: a new dial, besides %d", source, len(self._dials))
        self._abandon([old for old in self.dials if old.endpoint.has_route(source)])
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
        from dcsend.ice.endpoint import IceEndpoint
        from dcsend.peers import peer

        name = check.credentials.local_ufrag
        endpoint = IceEndpoint(
            self.port,
            controlling=False,
            credentials=(name, self._password),
            requests=request_filter(
                name,
                self._password,
                self._cache,
                unknown=self._received_unknown,
                forged=self._received_forged_check,
            ),
        )
        role = peer.ConnectionRole(published=True, dtls_server=True, opens=False)
        connection = self.make(endpoint.connection, self.certificate, role)
        theirs = check.credentials
        remote = peer.Remote(theirs.ufrag, theirs.password, theirs.fingerprint)
        return IncomingDial(name, endpoint, connection, remote)

    def _received_forged_check(self, data: bytes, source: Address) -> None:
        if is_signed(data) and not self._joiners.received(data, source):
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
        """Accept *dial*, unless another one is accepted."""
        from dcsend.ice.checks import Refusal

        if self._accepted.done():
            return self._returns.completed(dial)
        self._accepted.set_result(dial)
        self.free.clear()
        self.taken.set()
        self.asked.clear()
        self._refuse_all(Refusal.BUSY, keep=dial)
        return True
