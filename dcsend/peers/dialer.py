"""The side that was given a dial code: it connects to the addresses in the code.

The dialer needs no answer of the listener, since the code contains its parameters. Those of the
dialer are in the USERNAME of its checks (`ice.ufrag`).
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, Generic

from dcsend.dtls.certificate import Certificate
from dcsend.errors import (
    AuthenticationFailed,
    CodeExpired,
    CodeUsed,
    ConnectionFailed,
    DcsendError,
)
from dcsend.ice.ufrag import encode_ufrag
from dcsend.net.address import Address, family
from dcsend.net.udp import UdpPort
from dcsend.peers import reasons
from dcsend.peers.diagnosis import Diagnosis, local_facts, stay_closed
from dcsend.peers.loading import Make, Peer, load_aiortc
from dcsend.peers.situations import Facts, RemoteAddress, Role, foreseen

__all__ = ["CLOSED", "GRACE", "SILENT", "DialAttempt", "dial"]

logger = logging.getLogger(__name__)

GRACE: Final = 1.5
"""Seconds between a refused secret and the error: another address in the code may be that of the
listener, since a private address is another host in each network."""
SILENT: Final = 8 / 15
"""The part of the time of a dial after which its end begins if nothing has answered: 8 of 15 s, and
up to 2 s for the reason, in which an answer still counts. By 8 s the dialer has sent its check 7
times (`ice.transactions`: after 0, 0.1, 0.3, 0.7, 1.5, 3.1 and 6.3 s); in the rest of its time it
would send one more. A path with a round trip of seconds has answered, and has all of the time."""
CLOSED: Final = 2.5
"""Seconds after the first half second after which the end of a dial begins, as with `SILENT`, if
each address has answered all that time that its port is closed. The listener may be restarting, and
any host on the path can forge this: it ends no dial at once, nor one with an authentic answer."""
_PAUSE: Final = 1.0
"Seconds until the next attempt while another dialer is connected."
_PRIORITY: Final = 2_130_706_431
"Of the first address: that of a host candidate (RFC 8445, 5.1.2.1)."


async def dial(
    addresses: Sequence[Address],
    *,
    password: str,
    fingerprint: bytes,
    timeout: float,
    make: Make[Peer],
    port: int = 0,
    servers: Sequence[Address] = (),
    certificate: Certificate | None = None,
    announced: bytes | None = None,
    grace: float = GRACE,
    examine: Callable[[Role, Iterable[RemoteAddress]], Facts] = local_facts,
) -> Peer:
    """Connect to the listener at one of *addresses*.

    Args:
        addresses: host and port, best first.
        password: the ice-pwd derived from the code's secret.
        fingerprint: SHA-256 of the listener's certificate, from the code; 32 bytes.
        timeout: seconds for all attempts.
        make: of `loading`: makes the connection, which owns its port.
        port: our UDP port; 0 for a random one.
        servers: STUN servers for the diagnosis after a failure; empty for none.
        certificate: ours; None for a new one.
        announced: the fingerprint that the checks contain, if not that of the certificate; tests
            of hostile dialers use it.
        grace: seconds between a refused secret and the error.
        examine: returns what is known of this machine and its routes.

    Raises:
        AuthenticationFailed: the listener has another secret, or another certificate.
        CodeUsed: another dialer has used the code.
        CodeExpired: the code has expired.
        ConnectionFailed: another dialer is connected and was not accepted in time; or no address
            responds. The message has the reason if it is known. At once if this machine has no
            route to any address, otherwise up to `diagnosis.LIMIT` seconds after *timeout*, or
            after `SILENT` of it, or `CLOSED`, if nothing has answered at all.
        UsageError: *port* can't be used.
    """
    places = (RemoteAddress(str(ipaddress.ip_address(host)), number) for host, number in addresses)
    facts = examine(Role.DIALER, places)
    if why := foreseen(facts):
        raise reasons.error(facts, why)
    await load_aiortc()
    certificate = certificate or Certificate.generate()
    clock = asyncio.get_running_loop().time
    end = clock() + timeout
    was_cut_off = was_busy = False
    while True:
        logger.debug("dialing %s", ", ".join(f"{one.host} port {one.port}" for one in facts.theirs))
        own_port = await UdpPort.open(port)
        attempt: DialAttempt[Peer] | None = None
        try:
            attempt = DialAttempt(own_port, certificate, facts, make, servers, grace)
            own = announced or certificate.fingerprint
            await attempt.run(password, fingerprint, own, end - clock())
        except ConnectionFailed as error:
            await own_port.close()
            # Of several dialers all but one are disconnected without a reason.
            cut_off = attempt is not None and attempt.was_settled
            is_busy = isinstance(error, _Busy)
            again = is_busy or (cut_off and not was_cut_off)
            if not again or clock() + _PAUSE >= end:
                if was_busy and not is_busy and not cut_off:
                    raise _Followed from error
                raise
            was_cut_off |= cut_off
            was_busy |= is_busy
        except BaseException:
            await own_port.close()
            raise
        else:
            attempt.connection.own(own_port)
            return attempt.connection
        await asyncio.sleep(_PAUSE)


class _Busy(ConnectionFailed):
    """Other dialers are connected: one that is not accepted yet, or as many as can be."""

    def __init__(self) -> None:
        super().__init__(
            "another device is connected with this code",
            "wait until it has ended, or accept, decline or end it there, then run this again; "
            "if you know of no other device, ask for a new code",
        )


class _Followed(ConnectionFailed):
    """Another dialer was connected, and the listener has not responded since."""

    def __init__(self) -> None:
        super().__init__(
            "another device was connected with this code, and there is no answer now",
            "it has probably used the code: ask the other side for a new one; if you know of no "
            "other device, ask in another way",
        )


class DialAttempt(Generic[Peer]):
    """One attempt to reach the listener at all its addresses at the same time."""

    def __init__(
        self,
        port: UdpPort,
        certificate: Certificate,
        facts: Facts,
        make: Make[Peer],
        servers: Sequence[Address],
        grace: float,
    ) -> None:
        from dcsend.ice.endpoint import IceEndpoint
        from dcsend.peers import peer

        self._loop = asyncio.get_running_loop()
        self._facts = facts
        addresses = ((one.host, one.port) for one in facts.theirs)
        self._addresses = [one for one in addresses if family(one[0]) in port.families]
        self._diagnosis = Diagnosis(port, servers)
        self._grace = grace
        self._is_complete = False
        "Whether the facts have the results of the diagnosis."
        self.was_settled = False
        "Whether ICE had nominated a pair when the attempt failed."
        self._rejection: asyncio.Future[DcsendError] = self._loop.create_future()
        self._endpoint = IceEndpoint(port, controlling=True, rejected=self._rejected)
        port.route_unknown(self._received_unknown)
        role = peer.ConnectionRole(published=False, dtls_server=False, opens=True)
        self.connection = make(self._endpoint.connection, certificate, role)

    @property
    def is_settled(self) -> bool:
        """Whether ICE has nominated a pair."""
        return self._endpoint.is_nominated

    async def run(
        self,
        password: str,
        fingerprint: bytes,
        announced: bytes,
        timeout: float,
        *,
        longest: float | None = None,
    ) -> None:
        """Connect; see `dial`.

        With *longest*, *timeout* is only that until an address responds, *longest* that until the
        connection is complete, and a failure is not explained.
        """
        from dcsend.peers.peer import Remote

        for rank, (host, port) in enumerate(self._addresses):
            await self._endpoint.add_candidate("host", host, port, _PRIORITY - rank)
        await self._endpoint.end_candidates()
        ufrag = encode_ufrag(announced, self._endpoint.connection.local_password)
        establishing = asyncio.create_task(
            self.connection.establish(Remote(ufrag, password, fingerprint))
        )
        try:
            either: set[asyncio.Future[Any]] = {establishing, self._rejection}
            if longest is None:
                end = self._loop.time() + timeout
                await self._end_if_silent(either, timeout * SILENT)
                timeout = max(0.0, end - self._loop.time())
            await asyncio.wait(either, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if longest is not None and self.is_settled:
                await asyncio.wait(
                    either, timeout=longest - timeout, return_when=asyncio.FIRST_COMPLETED
                )
            connected = establishing.done() and establishing.exception() is None
            if self._rejection.done() and not connected:
                raise self._rejection.result()
            if not establishing.done() and longest is not None:
                raise ConnectionFailed("no answer from any address of the other side")
            if not establishing.done():
                raise await self._why()
            establishing.result()
        except BaseException:
            self.was_settled = self.is_settled  # closing clears it
            establishing.cancel()
            await self.connection.close()
            await asyncio.gather(establishing, return_exceptions=True)
            raise

    async def _end_if_silent(self, either: set[asyncio.Future[Any]], seconds: float) -> None:
        """Wait so long, or until one is done, or all ports are closed.

        Raises:
            ConnectionFailed: no address has answered by then, nor while the reason was looked for.
        """
        ice = self._endpoint.connection
        closed = asyncio.create_task(
            stay_closed(self._facts.theirs, CLOSED, lambda: bool(ice.arrived))
        )
        try:
            done, _ = await asyncio.wait(
                {*either, closed}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            closed.cancel()
            await asyncio.gather(closed, return_exceptions=True)
        if done - {closed} or ice.arrived:
            return
        why = asyncio.create_task(self._why())
        await asyncio.wait({*either, why}, return_when=asyncio.FIRST_COMPLETED)
        if why.done() and not ice.arrived:
            raise why.result()
        why.cancel()
        await asyncio.gather(why, return_exceptions=True)

    async def _why(self) -> ConnectionFailed:
        """Return the error that explains why there is no connection."""
        if not self._is_complete:
            self._facts = await self._diagnosis.complete(self._facts)
            self._is_complete = True
        facts = replace(self._facts, check_arrived=self._endpoint.is_nominated)
        return reasons.error(facts, reasons.situation(facts))

    def _received_unknown(self, data: bytes, source: Address) -> None:
        """Handle a datagram of a source without a route: the listener may have more addresses."""
        if not self._diagnosis.received(data, source):
            self._endpoint.received_unknown(data, source)

    def _rejected(self, code: int) -> None:
        """Handle the refusal of a check; its code is one of `ice.checks.Refusal`."""
        logger.debug("a check was refused: error %d", code)
        if code == 401:
            error = AuthenticationFailed(
                "the other side expects another secret",
                "the code is from an earlier run, or was changed; ask for the current one",
            )
            self._loop.call_later(self._grace, self._reject_unless_settled, error)
        elif code == 430:
            self._reject(CodeExpired("the code has expired"))
        elif code == 500:
            self._reject(_Busy())
        elif code == 486:
            self._reject(CodeUsed("another device has already connected with this code"))

    def _reject_unless_settled(self, error: DcsendError) -> None:
        if not self.is_settled:
            self._reject(error)

    def _reject(self, error: DcsendError) -> None:
        if not self._rejection.done():
            self._rejection.set_result(error)
