"""The candidates of both sides of an exchange: local priorities, and names of the peer.

Used by `offer_answer`, where each side sends all of them at once, and by `trickle`, where they are
sent one by one.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from dcsend.description import Candidate, CandidateType
from dcsend.net.address import Address
from dcsend.net.mdns import is_local, resolve
from dcsend.peers.situations import RemoteAddress
from dcsend.peers.tasks import Tasks

if TYPE_CHECKING:
    from dcsend.ice.endpoint import IceEndpoint

__all__ = ["LocalCandidates", "RemoteCandidates"]

logger = logging.getLogger(__name__)

_TYPE_PREFERENCE: Final = {CandidateType.HOST: 126, CandidateType.SERVER_REFLEXIVE: 100}

_MAX_NAMES: Final = 16
"""Candidates with a `.local` name that are resolved, at most: each opens sockets. A browser has one
for each of its addresses."""


class LocalCandidates:
    """Our candidates in the order in which they were found, each transport address once."""

    def __init__(self) -> None:
        self._found: dict[Address, Candidate] = {}

    @property
    def all(self) -> tuple[Candidate, ...]:
        """All candidates so far."""
        return tuple(self._found.values())

    @property
    def is_relayed(self) -> bool:
        """Whether one of them is relayed."""
        return any(one.type is CandidateType.RELAYED for one in self._found.values())

    def add(self, type: CandidateType, host: str, port: int) -> Candidate | None:
        """Return the candidate of a new transport address; None if it is known.

        The priority is that of RFC 8445, 5.1.2.1; of one type, the first one has the highest.
        """
        if (host, port) in self._found:
            return None
        local_preference = 65535 - len(self._found)
        priority = _TYPE_PREFERENCE.get(type, 0) << 24 | local_preference << 8 | 255
        candidate = self._found[host, port] = Candidate(type, host, port, priority)
        logger.debug("gathered: %s", candidate)
        return candidate


class RemoteCandidates:
    """The candidates of the peer; they can be added at any time."""

    def __init__(self, ice: IceEndpoint, *, resolves: bool = True) -> None:
        """Prepare.

        Args:
            ice: gets the candidates.
            resolves: whether to resolve names that end with `.local`; otherwise these candidates
                are not used (draft-ietf-mmusic-mdns-ice-candidates, 3.2, for relay-only agents).
        """
        self._ice = ice
        self._resolves = resolves
        self._tasks = Tasks()
        self._added: list[Candidate] = []
        self._names = 0
        "Candidates with a `.local` name that are or were resolved."
        self.reached: set[Address] = set()
        "The IP addresses and ports to which checks can be sent directly."

    @property
    def count(self) -> int:
        """The number of candidates so far."""
        return len(self._added)

    @property
    def places(self) -> list[RemoteAddress]:
        """The addresses so far, for the diagnosis."""
        relayed = CandidateType.RELAYED
        return [RemoteAddress(one.host, one.port, one.type is relayed) for one in self._added]

    async def add(self, *candidates: Candidate) -> None:
        """Add candidates; those with a `.local` name when it is resolved."""
        self._added += candidates
        hidden: dict[str, list[Candidate]] = {}
        for candidate in candidates:
            if not is_local(candidate.host):
                await self._add(candidate, candidate.host)
            elif self._resolves and self._names < _MAX_NAMES:
                self._names += 1
                hidden.setdefault(candidate.host, []).append(candidate)

        async def found(name: str, host: str) -> None:
            for candidate in hidden[name]:
                await self._add(candidate, host)

        if hidden:
            self._tasks.begin(resolve(hidden, found))

    async def end_tasks(self) -> None:
        """Resolve no more names; idempotent."""
        await self._tasks.end()

    async def _add(self, candidate: Candidate, host: str) -> None:
        place = (candidate.type.value, host, candidate.port, candidate.priority)
        if (address := await self._ice.add_candidate(*place)) is not None:
            self.reached.add(address)
