"""What a receiver takes of an offer: plan, question, and a new plan if the answer changes it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from dcsend.entry import Chosen, Existing, Kind
from dcsend.errors import PeerRefused
from dcsend.files.room import free_room
from dcsend.files.sink import Plan, Sink
from dcsend.session.dry_run import DryRun, planned
from dcsend.session.events import Emit, ManifestKnown, Warned
from dcsend.settings import Settings

if TYPE_CHECKING:
    from dcsend.session.admission import Admission

__all__ = ["Decide", "agree"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

Decide = Callable[[ManifestKnown], Awaitable[bool | Existing | Chosen]]
"""Called once, with the offer and what of it exists already. False declines, True accepts; a policy
accepts, too, and replaces that of the settings; `Chosen` accepts a part. `Existing.REFUSE` accepts
unless files exist; if some do, the offer is refused as without a question, and the code works
again."""


class _InThread(Protocol):
    """Runs a function that reads the disk in a thread."""

    async def __call__(self, job: Callable[[], T], /) -> T: ...


async def agree(
    known: ManifestKnown,
    sink: Sink,
    anew: Callable[[Existing], Sink] | None,
    *,
    decide: Decide,
    settings: Settings,
    run: _InThread,
    emit: Emit,
    admission: Admission | None = None,
) -> tuple[Sink, Plan]:
    """Return what of an offer is received, and by which sink.

    Args:
        known: the offer.
        sink: made for *existing*.
        anew: makes a sink for another policy; None: the policy is fixed.
        decide: returns whether to accept.
        settings: has the policy for files that exist, unless *decide* returns one, and whether this
            is a dry run.
        run: runs a function in the disk thread.
        emit: gets notes on what is not received.
        admission: of a receiver that stays; None for another one.

    Raises:
        DestinationError: it can't be saved, or files exist and no policy was chosen, or it exceeds
            a limit.
        PeerRefused: *decide* has declined.
        DryRun: it is a dry run, and its result was emitted.
    """
    existing = settings.existing
    plan = await run(partial(sink.plan, known.entries))
    notes = plan.notes
    for note in notes:
        emit(Warned("refused", note))
    if settings.dry_run:
        place = settings.destination
        free = None if place is None else await run(partial(free_room, place))
        emit(planned(known, plan, existing, free))
        raise DryRun("a dry run: nothing was received")
    if admission is not None:
        await run(partial(admission.check, known.entries, plan))
    known_already = plan.skip.keys() | set(plan.taken)
    fresh = sum(
        kind is not Kind.DIRECTORY and number not in known_already
        for number, kind in enumerate(known.kinds())
    )
    compared = sum(file.size for file in plan.present.values())
    offer = replace(
        known,
        taken=plan.taken,
        existing=existing,
        fresh=fresh,
        resumed=sum(plan.have.values()) - compared,
        same=sum(reason == "same" for reason in plan.skip.values()),
        compared=compared,
    )
    answer = await decide(offer)
    if not answer:
        raise PeerRefused("you declined")
    unwanted = answer.unwanted if isinstance(answer, Chosen) else frozenset[int]()
    policy = answer.existing if isinstance(answer, Chosen) else answer
    policy = policy if isinstance(policy, Existing) else existing
    if (policy is not existing or unwanted) and anew is not None:
        await run(sink.close)
        sink = await run(partial(anew, policy))
        plan = await run(partial(sink.plan, known.entries, unwanted))
        for note in plan.notes:
            if note not in notes:
                emit(Warned("refused", note))
    skipped, taken = len(plan.skip), len(plan.taken)
    logger.debug("%d entries, %d skipped, %d exist", len(known.entries), skipped, taken)
    if plan.refusal is not None:
        raise plan.refusal
    if admission is not None:
        await run(partial(admission.reserve, known.entries, plan))
    return sink, plan
