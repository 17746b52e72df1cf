"""The side that was given a code: calls the addresses in it.

Makes an ordinary ICE offer for itself and fabricates the listener's answer; what the
listener needs to know travels in the first check (`ufrag`). Nothing else goes back.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Generic

from dcsend.engines import reasons
from dcsend.engines.certificate import Certificate
from dcsend.engines.diagnosis import Diagnosis, known
from dcsend.engines.loading import Make, Peer, load_aiortc
from dcsend.engines.peerchecks import PeerChecks
from dcsend.engines.situations import Facts, Place, Role, foreseen
from dcsend.engines.stun import is_binding_request
from dcsend.engines.udp import Address, UdpPort
from dcsend.engines.ufrag import encode_ufrag
from dcsend.errors import (
    AuthenticationFailed,
    CodeExpired,
    CodeUsed,
    ConnectionFailed,
    DcsendError,
)

if TYPE_CHECKING:
    from aioice.stun import Message

__all__ = ["dial"]

_GRACE: Final = 1.5
"""Seconds between a refused secret and giving up: another address in the code may be the
right machine, since private addresses mean a different one on each network."""
_PAUSE: Final = 1.0
"Seconds until a listener that is busy with another dialer is tried again."


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
) -> Peer:
    """Connect to the listener at one of *addresses*.

    Args:
        addresses: host and port, best first.
        password: the ice-pwd derived from the code's secret.
        fingerprint: SHA-256 of the listener's certificate, from the code; 32 bytes.
        timeout: seconds until it is given up.
        make: of `loading`: what kind of connection it shall be. It owns its port.
        port: our own UDP port; 0 for a random one.
        servers: STUN servers, asked only after a failure, to find out why; none for asking none.
        certificate: our own; made here if None.
        announced: the fingerprint we claim to have; ours, except in tests of liars.

    Raises:
        AuthenticationFailed: the listener knows another secret, or has another certificate.
        CodeUsed: somebody else was faster.
        CodeExpired: the code is too old.
        ConnectionFailed: another dialer is connected and was not accepted in time; or there is
            no connection, and why, as far as that is known; at once where
            no address can be reached from this machine, else up to `diagnosis.LIMIT` seconds
            after *timeout*.
        UsageError: *port* can't be used.
    """
    places = (Place(str(ipaddress.ip_address(host)), number) for host, number in addresses)
    facts = known(Role.DIALER, places)
    if why := foreseen(facts):
        raise reasons.error(facts, why)
    await load_aiortc()
    certificate = certificate or Certificate.generate()
    clock = asyncio.get_running_loop().time
    end = clock() + timeout
    was_cut_off = was_busy = False
    while True:
        own_port = await UdpPort.open(port)
        attempt: _Attempt[Peer] | None = None
        try:
            attempt = _Attempt(own_port, certificate, facts, make, servers)
            own = announced or certificate.fingerprint
            await attempt.run(password, fingerprint, own, end - clock())
        except ConnectionFailed as error:
            await own_port.close()
            # One of several that dial at once is cut off, and has not been told why.
            cut_off = attempt is not None and attempt.is_settled
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
            attempt.connection.owned = own_port
            return attempt.connection
        await asyncio.sleep(_PAUSE)


class _Busy(ConnectionFailed):
    """Another dialer is connected, and not accepted yet."""

    def __init__(self) -> None:
        super().__init__(
            "another device is connected with this code, and has not been accepted yet",
            "accept or decline there, or end it there, then run this again; "
            "if you know of no other device, ask for a new code",
        )


class _Followed(ConnectionFailed):
    """Another dialer was connected, and the listener has answered nobody since."""

    def __init__(self) -> None:
        super().__init__(
            "another device was connected with this code, and now nothing answers",
            "it has probably used the code: ask the other side for a new one, over another way if "
            "you know of no other device",
        )


class _Attempt(Generic[Peer]):
    """One try to reach the listener at all its addresses at once."""

    def __init__(
        self,
        port: UdpPort,
        certificate: Certificate,
        facts: Facts,
        make: Make[Peer],
        servers: Sequence[Address],
    ) -> None:
        from dcsend.engines import peer, private

        self._loop = asyncio.get_running_loop()
        self._facts = facts
        self._addresses = [(one.host, one.port) for one in facts.theirs]
        self._addresses = [one for one in self._addresses if _family(one) in port.families]
        self._diagnosis = Diagnosis(port, servers)
        self._rejection: asyncio.Future[DcsendError] = self._loop.create_future()
        self._ice, self._protocols = private.muxed_connection(
            controlling=True,
            port=port,
            hosts=["::" if family == socket.AF_INET6 else "0.0.0.0" for family in port.families],
            judge=self._judge,
            rejected=self._rejected,
        )
        self._port = port
        self._checks = PeerChecks(self._ice.local_password, controlling=True)
        port.unknown = self._unknown
        for address in self._addresses:
            port.route(address, self._protocols[":" in address[0]].datagram_received)
        role = peer.Role(published=False, dtls_server=False, opens=True)
        self.connection = make(self._ice, certificate, role)

    @property
    def is_settled(self) -> bool:
        """Whether ICE has chosen a path."""
        from dcsend.engines import private

        return private.is_nominated(self._ice)

    async def run(
        self, password: str, fingerprint: bytes, announced: bytes, timeout: float
    ) -> None:
        """Try until connected, refused, or out of time; see `dial`."""
        from aioice import Candidate

        from dcsend.engines.peer import Remote

        for rank, (host, port) in enumerate(self._addresses):
            await self._ice.add_remote_candidate(
                Candidate(
                    foundation=str(rank),
                    component=1,
                    transport="udp",
                    priority=2_130_706_431 - rank,  # RFC 8445, 5.1.2.1: host, then in our order
                    host=host,
                    port=port,
                    type="host",
                )
            )
        await self._ice.add_remote_candidate(None)
        ufrag = encode_ufrag(announced, self._ice.local_password)
        establishing = asyncio.create_task(
            self.connection.establish(Remote(ufrag, password, fingerprint))
        )
        try:
            either: set[asyncio.Future[Any]] = {establishing, self._rejection}
            await asyncio.wait(either, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            connected = establishing.done() and establishing.exception() is None
            if self._rejection.done() and not connected:
                raise self._rejection.result()
            if not establishing.done():
                raise await self._why()
            establishing.result()
        except BaseException:
            establishing.cancel()
            await self.connection.close()
            await asyncio.gather(establishing, return_exceptions=True)
            raise

    async def _why(self) -> ConnectionFailed:
        """Find out why there is no connection."""
        from dcsend.engines import private

        heard = private.is_nominated(self._ice)
        facts = await self._diagnosis.complete(replace(self._facts, heard=heard))
        return reasons.error(facts, reasons.situation(facts))

    def _unknown(self, data: bytes, source: Address) -> None:
        """Let the listener answer from an address that the code does not name."""
        from dcsend.engines import private

        if self._diagnosis.received(data, source):
            return
        if private.is_nominated(self._ice) or not is_binding_request(data):
            return
        message = self._checks.stranger(data, source)
        if message is not None:
            protocol = self._protocols[":" in source[0]]
            self._port.route(source, protocol.datagram_received)
            protocol.answer(message, source)

    def _judge(self, data: bytes, source: Address) -> Message | None:
        """Return the listener's check in what a known source has sent, or None."""
        return self._checks.known(data, source)

    def _rejected(self, code: int) -> None:
        """Turn a refused check into what to tell the person."""
        if code == 401:
            error = AuthenticationFailed(
                "the other side expects another secret",
                "the code is from an earlier run, or was changed; ask for the present one",
            )
            self._loop.call_later(_GRACE, self._reject_unless_settled, error)
        elif code == 430:
            self._reject(CodeExpired("the code has expired"))
        elif code == 500:
            self._reject(_Busy())
        elif code == 486:
            self._reject(CodeUsed("somebody has already connected with this code"))

    def _reject_unless_settled(self, error: DcsendError) -> None:
        from dcsend.engines import private

        if not private.is_nominated(self._ice):
            self._reject(error)

    def _reject(self, error: DcsendError) -> None:
        if not self._rejection.done():
            self._rejection.set_result(error)


def _family(address: Address) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET
