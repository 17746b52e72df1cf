"""Our candidates, one by one: those of this machine at once, the others as servers respond.

The end of them comes when all servers have responded or failed, and the description has been made.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from dcsend.description import Candidate, CandidateType
from dcsend.errors import ConnectionFailed, DcsendError, LocalProtocolError
from dcsend.ice.stun import MappedAddresses
from dcsend.ice.turn_server import TurnServer
from dcsend.net.address import Address
from dcsend.peers.candidates import LocalCandidates
from dcsend.peers.tasks import Tasks

if TYPE_CHECKING:
    from dcsend.ice.endpoint import IceEndpoint

__all__ = ["MAX_CANDIDATES", "MAX_DESCRIBED", "MAX_REMOTE", "Gathering"]

MAX_DESCRIBED: Final = 8
"Candidates in a description, at most (PROTOCOL.md, O-4); further ones are trickled."
MAX_CANDIDATES: Final = 32
"Candidates of this side, at most; further ones are not used."
MAX_REMOTE: Final = MAX_DESCRIBED + 32
"Candidates of the peer, at most (PROTOCOL.md, R-32); further ones are ignored."


class Gathering:
    """The candidates of this side, and the queries to servers for more."""

    def __init__(self) -> None:
        self._local = LocalCandidates()
        self._queue: asyncio.Queue[Candidate | None] = asyncio.Queue()
        self._is_described = False
        self._asked: set[TurnServer] = set()
        self._running: set[asyncio.Task[None]] = set()
        self._tasks = Tasks()
        self.complete = asyncio.Event()
        "Set at the end of our candidates."
        self.problems: list[DcsendError] = []
        "The errors of STUN and TURN servers so far."

    @property
    def is_empty(self) -> bool:
        """Whether there is no candidate."""
        return not self._local.all

    @property
    def is_relayed(self) -> bool:
        """Whether there is a relayed candidate."""
        return self._local.is_relayed

    @property
    def has_servers(self) -> bool:
        """Whether a TURN server was asked."""
        return bool(self._asked)

    def note_hosts(self, hosts: Iterable[str], port: int) -> None:
        """Add the addresses of this machine, before any other candidates.

        Raises:
            ConnectionFailed: there is none.
        """
        for host in hosts:
            self.found(CandidateType.HOST, (host, port))
        if self.is_empty:
            raise ConnectionFailed(
                "this machine has no network address", "connect it, or name one with --address"
            )

    def found(self, type: CandidateType, place: Address) -> None:
        """Add a candidate; it is trickled if the description has been made."""
        if len(self._local.all) >= MAX_CANDIDATES:
            return
        candidate = self._local.add(type, *place)
        if candidate is not None and self._is_described:
            self._queue.put_nowait(candidate)

    def reflect(self, mapped: MappedAddresses, timeout: float) -> None:
        """Query STUN servers; *timeout* is in seconds."""
        self._begin(self._reflect(mapped, timeout))

    def allocate(self, servers: Sequence[TurnServer], ice: IceEndpoint) -> None:
        """Allocate addresses at TURN servers, at each of them once; *ice* gets them, too.

        Raises:
            LocalProtocolError: our candidates are complete.
        """
        if self.complete.is_set():
            raise LocalProtocolError("the candidates of this side are complete")
        for server in servers:
            if server not in self._asked:
                self._asked.add(server)
                self._begin(self._relay(server, ice))

    def described(self) -> tuple[Candidate, ...]:
        """Return the candidates for the description, which is made now; trickle all others."""
        self._is_described = True
        candidates = self._local.all
        for candidate in candidates[MAX_DESCRIBED:]:
            self._queue.put_nowait(candidate)
        self._finish()
        return candidates[:MAX_DESCRIBED]

    async def outgoing(self) -> AsyncIterator[Candidate]:
        """Yield the candidates that the description has not; ends after the last one."""
        while (candidate := await self._queue.get()) is not None:
            yield candidate

    async def end(self) -> None:
        """Query no more servers; `outgoing` ends. Idempotent."""
        await self._tasks.end()
        self._queue.put_nowait(None)

    async def _reflect(self, mapped: MappedAddresses, timeout: float) -> None:
        await mapped.query(timeout, lambda place: self.found(CandidateType.SERVER_REFLEXIVE, place))
        self.problems += mapped.problems

    async def _relay(self, server: TurnServer, ice: IceEndpoint) -> None:
        try:
            self.found(CandidateType.RELAYED, await ice.add_relay(server))
        except DcsendError as exc:
            self.problems.append(exc)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._tasks.begin(work)
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._finish()

    def _finish(self) -> None:
        """Note the end, if there is a description and no server is awaited."""
        if self._is_described and not self._running and not self.complete.is_set():
            self.complete.set()
            self._queue.put_nowait(None)
