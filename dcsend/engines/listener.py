"""The side that published a code: waits on the one UDP port for a dialer who knows it.

    datagram ─ known source ─ check, right secret ► the dial it belongs to
             │              └ no request ─────────► the dial it belongs to
             └ unknown ─ STUN server's answer ────► mapped addresses
                       └ check, right secret ─────► a new dial, or one more source of a dial
                       └ anything else ───────────► dropped, or one short refusal

Whether the secret is right is decided over a datagram's bytes, before anything is parsed. What
anybody can make it hold or do is bounded by the constants below, each for one kind of datagram.
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Generic

from dcsend.engines.certificate import Certificate
from dcsend.engines.diagnosis import known
from dcsend.engines.integrity import is_authentic, is_signed
from dcsend.engines.loading import Make, Peer, load_aiortc
from dcsend.engines.origins import Origin
from dcsend.engines.quota import Budget, Gate, SeenChecks
from dcsend.engines.situations import Facts, Place, Role
from dcsend.engines.stun import MappedAddresses, is_binding_request
from dcsend.engines.udp import Address, UdpPort
from dcsend.engines.ufrag import TAG
from dcsend.errors import ConnectionFailed, DcsendError

if TYPE_CHECKING:
    from aioice.stun import Message

    from dcsend.engines.checks import Check, Refusal
    from dcsend.engines.private import Judge, MuxedProtocol

__all__ = ["Listener"]

MAX_HALF_OPEN: Final = 8
"Dials that may be between first check and open channels at one time; each costs about 100 KB."
MAX_SOURCES: Final = 16
"Source addresses of one dial: a browser tries each of its interfaces."
MAX_ABANDONED: Final = 64
"Names of abandoned dials that are remembered; a datagram that is late comes within a minute."
MAX_EARLY: Final = 16
"Datagrams kept while aiortc is still loading; dialers repeat theirs anyway."
HALF_OPEN_SECONDS: Final = 10.0
"A dial that has no open channels by then is given up; on a LAN it takes 0.1 s."
PEERS_CHECKS_PER_SECOND: Final = 200
"New authentic checks of one dial that are handled; a dialer sends fewer than 50."
STRANGERS_CHECKS_PER_SECOND: Final = 200
"The same of all unknown sources; only those who have the code can send them."
REFUSALS_PER_SECOND: Final = 50
"Checks with a wrong secret that are answered; one answer is enough for a person."
GONE_SECONDS: Final = 3.5
"""Without a datagram from the accepted dialer for so long, it is gone if another one asks. By then
it is checked every second (`consent`), and every agent answers."""
KEEP_ALIVE_SECONDS: Final = 10.0
"Between requests that keep the NAT's mapping open (RFC 8445, 11: at least each 15 s)."


class Listener(Generic[Peer]):
    """Accepts one dialer at a time until the code is used up, and turns away everybody else."""

    def __init__(
        self,
        port: UdpPort,
        *,
        certificate: Certificate,
        password: str,
        make: Make[Peer],
        stun_servers: Sequence[Address] = (),
        failed: Callable[[DcsendError], None] = lambda error: None,
    ) -> None:
        """Take over *port*.

        Args:
            port: the one UDP port; closed together with the listener.
            certificate: whose fingerprint the code holds.
            password: the ice-pwd that both sides derive from the code's secret.
            make: of `loading`: what kind of connection it shall be.
            stun_servers: asked for our public address.
            failed: told when somebody who knows the secret fails to connect.
        """
        self.port = port
        self.mapped = MappedAddresses(port, stun_servers)
        self._certificate = certificate
        self._password = password
        self._key = password.encode()
        self._make = make
        self._failed = failed
        self._early: deque[tuple[bytes, Address, Origin | None]] = deque(maxlen=MAX_EARLY)
        self._loaded = False
        self.heard = False
        "Whether a check with the right secret has come."
        self._refusal: Refusal | None = None
        self._dials: dict[str, _Dial[Peer]] = {}
        self._abandoned: deque[str] = deque(maxlen=MAX_ABANDONED)
        "Names of dials that another one has followed from the same address."
        self._accepted: asyncio.Future[_Dial[Peer]] = asyncio.get_running_loop().create_future()
        self.asked = asyncio.Event()
        """Set whenever a dialer with the right secret is told to try again, since one is accepted;
        not by a check that comes again."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._seen = SeenChecks()
        self._strangers = Gate(self._seen, STRANGERS_CHECKS_PER_SECOND)
        self._refusals = Budget(REFUSALS_PER_SECOND)
        port.unknown = self._unknown

    async def accept(self) -> Peer:
        """Wait for a dialer; others are told to try again until `use_up` or `give_back`.

        Raises:
            ConnectionFailed: the listener was closed meanwhile.
            ImportError: aiortc can't be loaded.
        """
        await load_aiortc()
        self._loaded = True
        for datagram in self._early:
            self.port.again(*datagram)
        self._early.clear()
        keep_alive = asyncio.create_task(self._keep_alive())
        try:
            dial = await asyncio.shield(self._accepted)
        finally:
            keep_alive.cancel()
            await asyncio.wait({keep_alive})
        return dial.connection

    @property
    def is_deserted(self) -> bool:
        """Whether the accepted dialer does not answer any more."""
        now = asyncio.get_running_loop().time()
        return now - self._accepted.result().heard_at >= GONE_SECONDS

    def use_up(self) -> None:
        """Turn away everybody but the accepted dialer, from now on."""
        from dcsend.engines.checks import Refusal

        self._turn_away(Refusal.USED, keep=self._accepted.result())

    async def give_back(self) -> None:
        """Close the accepted connection, and take dialers again."""
        dial = self._accepted.result()
        # What comes late of this peer must not begin a dial.
        self._abandoned.append(dial.name)
        await dial.connection.close()
        self._dials.pop(dial.name, None)
        self._accepted = asyncio.get_running_loop().create_future()
        self._refusal = None

    def facts(self) -> Facts:
        """Return what is known of how this side can be reached."""
        facts = known(Role.LISTENER, ())
        return replace(
            facts,
            theirs=tuple(Place(str(one.ip), self.port.port) for one in facts.own),
            heard=self.heard,
            servers=tuple(f"{host}:{port}" for host, port in self.mapped.servers),
            mapped=tuple(self.mapped.answers.values()),
        )

    async def expire(self) -> None:
        """Turn away everybody who is not connected, and say that the code is too old."""
        await load_aiortc()
        from dcsend.engines.checks import Refusal

        if not self._accepted.done():
            self._turn_away(Refusal.EXPIRED)
        await self._end_tasks()

    async def close(self) -> None:
        """Close every connection and the port; idempotent."""
        self.port.unknown = lambda data, source: None
        if not self._accepted.done():
            self._accepted.set_exception(ConnectionFailed("the listener is closed"))
            self._accepted.exception()  # perhaps nobody waits for it
        try:
            for dial in self._dials.values():
                dial.give_up()
            await self._end_tasks()
            for dial in list(self._dials.values()):
                await dial.connection.close()
        finally:
            await self.port.close()

    async def _end_tasks(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _turn_away(self, refusal: Refusal, keep: _Dial[Peer] | None = None) -> None:
        """Answer new dialers with *refusal* from now on; the dials but *keep* end soon."""
        self._refusal = refusal
        for dial in self._dials.values():
            if dial is not keep:
                dial.give_up()

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE_SECONDS)
            self.mapped.keep_alive()

    def _unknown(self, data: bytes, source: Address) -> None:
        """Take a datagram whose source is not known; the cheapest test first."""
        if self.mapped.received(data, source):
            return
        if not is_binding_request(data) or not is_signed(data):
            return
        if not is_authentic(data, self._key):
            self._refuse(data, source)
        elif not self._loaded:
            if all(data != early for early, *_ in self._early):
                self._early.append((data, source, self.port.arrival(source)))
        elif self._strangers.admits(data, source, asyncio.get_running_loop().time()):
            self._check_of_a_stranger(data, source)

    def _refuse(self, data: bytes, source: Address) -> None:
        """Answer what may be a check with a wrong secret."""
        if not self._loaded or TAG.encode() not in data:
            return
        if self._refusals.take(asyncio.get_running_loop().time()):
            from dcsend.engines.checks import Refusal, parse_check, refuse

            check = parse_check(data)
            if check is not None:
                self.port.reply(refuse(check, Refusal.WRONG_SECRET, self._password), source)

    def _check_of_a_stranger(self, data: bytes, source: Address) -> None:
        """Let somebody who has the code in, or answer why not."""
        from dcsend.engines.checks import Refusal, parse_check, refuse

        check = parse_check(data)
        if check is None:
            return
        if check.credentials.local_ufrag in self._abandoned:
            return  # late, or sent twice on the way: its dialer is gone
        if (dial := self._dials.get(check.credentials.local_ufrag)) is not None:
            dial.add_source(check, source)
        elif self._refusal is not None:
            if self._refusal is Refusal.BUSY:
                # A recorded check, sent again, must not make the accepted dialer go.
                if self._seen.is_new(check.message.transaction_id):
                    self.asked.set()
                if self.is_deserted:
                    return  # not refused: its next check comes when the place is free
            self._seen.add(check.message.transaction_id, source)
            self.port.reply(refuse(check, self._refusal, self._password), source)
        elif self._seen.is_new(check.message.transaction_id) and len(self._dials) < MAX_HALF_OPEN:
            self._begin(check, source)

    def _known(self, dial: _Dial[Peer], data: bytes, source: Address) -> Message | None:
        """Return the request of a source of *dial* that its ICE may see, or None."""
        now = asyncio.get_running_loop().time()
        if dial.gate.is_overrun(data, now):
            return None
        if not is_authentic(data, self._key):
            if is_signed(data):
                self._refuse(data, source)
            return None
        if dial.name.encode() not in data:
            # A new try from the port of an old one: treated like that of a stranger.
            self._unknown(data, source)
            return None
        if not dial.gate.admits(data, source, now):
            return None
        from dcsend.engines.checks import parse_check

        check = parse_check(data)
        if check is None or check.credentials.local_ufrag != dial.name:
            return None
        self._seen.add(check.message.transaction_id, source)
        return check.message

    def _begin(self, check: Check, source: Address) -> None:
        self.heard = True
        for old in self._dials.values():
            if old.hears(source):
                self._abandoned.append(old.name)
                old.abandon()
        dial = _Dial(check, self)
        self._dials[dial.name] = dial
        dial.add_source(check, source)
        task = asyncio.create_task(self._establish(dial, check))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _establish(self, dial: _Dial[Peer], check: Check) -> None:
        """Bring one dial from its first check to open channels, or drop it."""
        error: DcsendError | None = None
        won = False
        try:
            async with asyncio.timeout(HALF_OPEN_SECONDS):
                await dial.establish(check)
            won = self._win(dial)
        except TimeoutError:
            error = ConnectionFailed("a dialer with the right secret did not finish connecting")
        except DcsendError as exc:
            error = exc
        finally:
            if not won:
                self._dials.pop(dial.name, None)
                await dial.connection.close()
        if error is not None:
            self._failed(error)

    def _win(self, dial: _Dial[Peer]) -> bool:
        """Make *dial* the one, unless there is one."""
        from dcsend.engines.checks import Refusal

        if self._accepted.done():
            return False
        self._accepted.set_result(dial)
        self.asked.clear()
        self._turn_away(Refusal.BUSY, keep=dial)
        return True


class _Dial(Generic[Peer]):
    """One dialer: its connection and the addresses it has shown itself from."""

    def __init__(self, check: Check, listener: Listener[Peer]) -> None:
        from dcsend.engines import private
        from dcsend.engines.peer import Role

        self.name = check.credentials.local_ufrag
        self._task: asyncio.Task[None] | None = None
        self._given_up = False
        self._port = listener.port
        self._seen = listener._seen
        self.gate = Gate(listener._seen, PEERS_CHECKS_PER_SECOND)
        self._sources = 0
        judge: Judge = functools.partial(listener._known, self)
        self._ice, self._protocols = private.muxed_connection(
            controlling=False,
            port=listener.port,
            hosts=("0.0.0.0", "::"),
            judge=judge,
            local=(self.name, listener._password),
        )
        role = Role(published=True, dtls_server=True, opens=False)
        self.connection = listener._make(self._ice, listener._certificate, role)

    @property
    def heard_at(self) -> float:
        """When an authentic datagram of the peer was last seen to arrive, within half a second."""
        return self._ice.heard_at

    @property
    def is_settled(self) -> bool:
        """Whether ICE has chosen a path."""
        from dcsend.engines import private

        return private.is_nominated(self._ice)

    def add_source(self, check: Check, source: Address) -> None:
        """Answer a check from an address that is new to this dial.

        Not once the path is settled, and not one that came from elsewhere before: a recorded
        check, sent again, must not draw a transfer away.
        """
        if self._sources >= MAX_SOURCES or self.is_settled:
            return
        if not self._seen.add(check.message.transaction_id, source):
            return
        self._sources += 1
        protocol: MuxedProtocol = self._protocols[":" in source[0]]
        self._port.route(source, protocol.datagram_received)
        protocol.answer(check.message, source)

    def hears(self, source: Address) -> bool:
        """Tell whether what *source* sends comes to this dial."""
        return any(protocol.hears(source) for protocol in self._protocols.values())

    def abandon(self) -> None:
        """Give up silently: whoever dialed is gone, and another dial comes from its address.

        Its handshake, sent again, and even its goodbye would reach that one, which can't tell
        them from those of its own.
        """
        for protocol in self._protocols.values():
            protocol.fall_silent()
        self.give_up()

    async def establish(self, check: Check) -> None:
        """Connect to the peer that *check* describes."""
        from dcsend.engines.peer import Remote

        if self._given_up:
            raise asyncio.CancelledError
        self._task = asyncio.current_task()
        credentials = check.credentials
        try:
            await self.connection.establish(
                Remote(credentials.ufrag, credentials.password, credentials.fingerprint)
            )
        finally:
            self._task = None

    def give_up(self) -> None:
        """Let `establish` be cancelled, if it has not ended; whoever called it closes the rest.

        The task is not cancelled before or after it: then nobody would close anything.
        """
        self._given_up = True
        if self._task is not None:
            self._task.cancel()
