"""The two sides of a short code on this machine, and what a rendezvous carries between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from dcsend.description import Candidate, CandidateType, Description
from dcsend.peers.loading import transfer_peer
from dcsend.peers.offer_answer import Servers
from dcsend.peers.transfer import TransferConnection
from dcsend.peers.trickle import Trickle
from tests.support.peers import LOCAL, Published

__all__ = [
    *("Connected", "Side", "allocating", "both", "carry", "connect", "everything", "joining"),
    *("relayed", "without_candidates"),
]

Side = Trickle[TransferConnection]
Pass = Callable[[Candidate], bool]


def everything(candidate: Candidate) -> bool:
    """Pass every candidate on."""
    return True


def relayed(candidate: Candidate) -> bool:
    """Pass relayed candidates only."""
    return candidate.type is CandidateType.RELAYED


@asynccontextmanager
async def joining(
    servers: Servers | None = None,
    **options: Any,  # noqa: ANN401 - those of `Trickle.open`
) -> AsyncIterator[Side]:
    """Yield a joiner, with this machine's loopback address unless *options* have others."""
    if servers is None or not (servers.stun or options.get("relay_only")):
        options.setdefault("addresses", [LOCAL])
    side = await Trickle.open(servers or Servers(), transfer_peer, **options)
    try:
        yield side
    finally:
        await side.close()


async def allocating(
    here: Published,
    servers: Servers | None = None,
    **options: Any,  # noqa: ANN401 - those of `Trickle.on_listener`
) -> Side:
    """Return the allocator's side, which the listener closes."""
    options.setdefault("addresses", [LOCAL])
    return await Trickle.on_listener(here.listener, servers or Servers(), **options)


def without_candidates(description: Description, passes: Pass = lambda one: False) -> Description:
    """Return a description without the candidates that do not pass."""
    return replace(description, candidates=tuple(filter(passes, description.candidates)))


async def carry(
    source: Side, target: Side, passes: Pass = everything, *, ends: bool = True
) -> None:
    """Carry the trickled candidates of one side, and perhaps their end, to the other side."""
    async for candidate in source.outgoing():
        if passes(candidate):
            await target.add(candidate)
    if ends:
        target.end()


@dataclass(frozen=True, slots=True)
class Connected:
    """Both ends of a connection."""

    joiner: TransferConnection
    allocator: TransferConnection


async def connect(
    joiner: Side,
    allocator: Side,
    *,
    passes: Pass = everything,
    ends: bool = True,
    timeout: float = 30.0,
    patience: float = 15.0,
) -> Connected:
    """Exchange what passes, and connect; the joiner's end is closed by the caller."""
    offer = joiner.describe()
    answer = allocator.describe(offer)
    async with asyncio.TaskGroup() as group:
        group.create_task(carry(joiner, allocator, passes, ends=ends))
        group.create_task(carry(allocator, joiner, passes, ends=ends))
        times = {"timeout": timeout, "patience": patience}
        made = [
            group.create_task(side.establish(without_candidates(theirs, passes), **times))
            for side, theirs in ((joiner, answer), (allocator, offer))
        ]
    return Connected(made[0].result(), made[1].result())


@asynccontextmanager
async def both(
    joiner: Side,
    allocator: Side,
    **options: Any,  # noqa: ANN401 - those of `connect`
) -> AsyncIterator[Connected]:
    """Yield a connection of both sides; the joiner's end is closed at the end."""
    made = await connect(joiner, allocator, **options)
    try:
        yield made
    finally:
        await made.joiner.close()
