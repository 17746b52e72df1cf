"""The error responses by which a listener refuses dialers."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from dcsend.ice.rate_limits import TokenBucket
from dcsend.ice.ufrag import TAG
from dcsend.net.address import Address
from dcsend.net.udp import UdpPort

if TYPE_CHECKING:
    from dcsend.ice.checks import Check, Refusal

__all__ = ["REFUSALS_PER_SECOND", "Refusals"]

logger = logging.getLogger(__name__)

REFUSALS_PER_SECOND: Final = 50
"Checks with a wrong secret that are answered; a dialer needs one answer."


class Refusals:
    """Refuses dialers on one port; imports aioice for the first one."""

    def __init__(self, port: UdpPort, password: str) -> None:
        """Prepare; *password* is our ice-pwd, with which each response is signed."""
        self._port = port
        self._password = password
        self._of_secrets = TokenBucket(REFUSALS_PER_SECOND)

    def refuse_secret(self, data: bytes, source: Address) -> None:
        """Answer a datagram that may be a check with a wrong secret."""
        if TAG.encode() not in data:
            return
        if self._of_secrets.take(asyncio.get_running_loop().time()):
            from dcsend.ice.checks import Refusal, parse_check

            check = parse_check(data)
            if check is not None:
                self.refuse(check, Refusal.WRONG_SECRET, source)

    def refuse(self, check: Check, refusal: Refusal, source: Address) -> None:
        """Answer a check."""
        from dcsend.ice.checks import refuse

        logger.debug("check from %s: refused, %s", source, refusal.name)
        self._port.reply(refuse(check, refusal, self._password), source)
