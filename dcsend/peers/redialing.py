"""The dialer of a lost connection: dials the listener again and again, with the same certificate.

The listener recognises it by the certificate, which no other device has, although the code is used.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Sequence
from typing import Final

from dcsend.dtls.certificate import Certificate
from dcsend.errors import CodeExpired, CodeUsed, DcsendError
from dcsend.net.address import Address
from dcsend.net.udp import UdpPort
from dcsend.peers.diagnosis import local_facts
from dcsend.peers.dialer import DialAttempt
from dcsend.peers.listener import HALF_OPEN_SECONDS
from dcsend.peers.loading import Make, Peer
from dcsend.peers.situations import RemoteAddress, Role

__all__ = ["EAGER", "OFTEN", "SELDOM", "redial"]

logger = logging.getLogger(__name__)

OFTEN: Final = 2.0
"Seconds between two attempts, at most, in the first `EAGER` seconds."
SELDOM: Final = 5.0
"Seconds between two attempts, at most, after the first `EAGER` seconds."
EAGER: Final = 120.0


async def redial(
    addresses: Sequence[Address],
    *,
    password: str,
    fingerprint: bytes,
    certificate: Certificate,
    make: Make[Peer],
    often: float = OFTEN,
) -> Peer:
    """Dial until the listener responds; each attempt has another port.

    Args:
        addresses: host and port, best first.
        password: as in `dialer.dial`.
        fingerprint: of the listener's certificate.
        certificate: of the lost connection.
        make: as in `dialer.dial`.
        often: see `OFTEN`.

    Raises:
        CodeUsed, CodeExpired: the listener does not wait for this side.
    """
    clock = asyncio.get_running_loop().time
    begin = clock()
    while True:
        started = clock()
        pause = often if started - begin < EAGER else SELDOM
        try:
            return await _attempt(addresses, password, fingerprint, certificate, make, pause)
        except (CodeUsed, CodeExpired):
            raise
        except DcsendError as error:
            logger.debug("dialing again: %s", error)
        await asyncio.sleep(max(0.0, started + pause - clock()))


async def _attempt(
    addresses: Sequence[Address],
    password: str,
    fingerprint: bytes,
    certificate: Certificate,
    make: Make[Peer],
    patience: float,
) -> Peer:
    """Dial once; *patience* is the number of seconds until an address must have responded."""
    places = (RemoteAddress(str(ipaddress.ip_address(host)), number) for host, number in addresses)
    facts = local_facts(Role.DIALER, places)
    port = await UdpPort.open()
    try:
        attempt = DialAttempt(port, certificate, facts, make, (), patience)
        own = certificate.fingerprint
        await attempt.run(password, fingerprint, own, patience, longest=HALF_OPEN_SECONDS)
    except BaseException:
        await port.close()
        raise
    attempt.connection.own(port)
    return attempt.connection
