"""A run, from its start to its result.

send_files:     find the offer ─► meet ─► Outgoing in a Conversation ─► Finished
receive_files:  make the sink  ─► meet ─► Incoming in a Conversation ─► Finished

Modules that only a connected peer needs are imported when it is there: so the code is on the screen
sooner by a third.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO

from dcsend.entry import Existing
from dcsend.errors import SourceError
from dcsend.files.folder import Identity
from dcsend.importing import keep_out
from dcsend.session.admission import Inbox
from dcsend.session.advice import how_to_go_on
from dcsend.session.conclusion import conclude
from dcsend.session.destination import make_sink, refuse_two_writers
from dcsend.session.events import Emit, Finished, Limited, ManifestKnown, total_size
from dcsend.session.introduction import agent, check_name
from dcsend.session.limiting import RateLimit
from dcsend.session.meeting import meet
from dcsend.session.offering import OwnOutput, find_offer, refuse_written, report_left_out
from dcsend.session.one_peer import Half, converse
from dcsend.session.outcome import Tally
from dcsend.session.preparation import Loading, Preparation, load_receiver
from dcsend.session.receivers import Receivers, refuse_streams, refuse_ways
from dcsend.session.senders import Senders, refuse_staying
from dcsend.session.worker import Worker
from dcsend.settings import Settings

if TYPE_CHECKING:
    from dcsend.files.manifest import Scan
    from dcsend.files.sink import Sink
    from dcsend.session.agreement import Decide
    from dcsend.session.arrivals import Arrivals
    from dcsend.session.control import ConnectedPeer
    from dcsend.session.conversation import Room
    from dcsend.session.entered import Enter, Try
    from dcsend.session.exchange import Ask
    from dcsend.session.incoming import Incoming
    from dcsend.session.outgoing import Outgoing
    from dcsend.session.short_codes import Confirm

__all__ = ["OwnOutput", "receive_files", "send_files"]


async def send_files(
    paths: Sequence[str],
    settings: Settings,
    emit: Emit,
    *,
    ask: Ask | None = None,
    confirm: Confirm | None = None,
    lines: asyncio.Queue[str] | None = None,
    interrupt: asyncio.Future[int] | None = None,
    room: Room | None = None,
    stdin: BinaryIO | None = None,
    limit: RateLimit | None = None,
    written: Mapping[Identity, str] = MappingProxyType({}),
) -> Finished:
    """Send files, folders, standard input or a text to the peer that has the code.

    Args:
        paths: what to send; `-` is standard input.
        settings: everything else.
        emit: gets every event; the last one is what is returned.
        ask: returns the other side's session description, where those are exchanged.
        confirm: asks whether to show another short code after several wrong ones; None: without it.
        lines: typed meanwhile, for the text channel.
        interrupt: set to a signal's number to end the run as that signal does.
        room: awaited before more is sent or acknowledged, for a slow reader of the events.
        stdin: read for `-`.
        limit: of the rate, in place of that of the settings; several runs can share it.
        written: files that this run writes to, and what it writes there, such as its events.

    Returns:
        The outcome, when the transfer was carried to its end; look at `ok`.

    Raises:
        DcsendError: it was not; the events `error` and `done` were emitted.
    """
    limit = RateLimit(settings.limit_rate) if limit is None else limit

    async def story(tally: Tally) -> None:
        check_name(settings.name)
        refuse_ways(paths, settings)
        with closing(Worker("dcsend-scan")) as worker, _reported(limit, tally.emit):
            found = await worker.run(lambda: find_offer(paths, settings, stdin))
            refuse_written(found, written)
            refuse_streams(found.entries, settings)
            if not found.entries:
                report_left_out(found, settings, tally)
                raise SourceError("nothing is left to send", "check --exclude and the paths")
            if settings.dry_run:
                from dcsend.session.dry_run import would_send

                report_left_out(found, settings, tally)
                tally.expect(found.entries, found.left_out)
                offer = ManifestKnown(found.entries, found.left_out)
                emit(offer)
                emit(would_send(offer))
                return
            preparation = Preparation(found, settings, tally, worker)
            if settings.code:
                preparation.start()

            half = _sending(found, settings, preparation, limit)
            try:
                emits = preparation.announce
                async with meet(settings, emits, "sender", ask, confirm) as arrivals:
                    await preparation.loaded()
                    if settings.times == 1:
                        await _converse(arrivals, half, settings, tally, lines, room)
                    else:
                        tally.expect(found.entries, found.left_out)
                        await Receivers(arrivals, half, settings, tally, room).serve()
            finally:
                await preparation.close()

    return await conclude(
        story, emit, "sender", interrupt, advise=partial(how_to_go_on, settings, "sender")
    )


async def receive_files(
    settings: Settings,
    emit: Emit,
    decide: Decide,
    *,
    ask: Ask | None = None,
    confirm: Confirm | None = None,
    enter: Enter | None = None,
    lines: asyncio.Queue[str] | None = None,
    interrupt: asyncio.Future[int] | None = None,
    room: Room | None = None,
    stdout: BinaryIO | None = None,
    unattended: bool = False,
    limit: RateLimit | None = None,
    written: Mapping[Identity, str] = MappingProxyType({}),
) -> Finished:
    """Receive what the peer sends that has, or has published, the code.

    Args:
        settings: everything that has a default.
        emit: gets every event; the last one is what is returned.
        decide: returns whether to accept, and what to do about files that exist.
        ask: returns the other side's session description, where those are exchanged.
        confirm: asks whether to show another short code after several wrong ones; None: without it.
        enter: returns a code that a person enters while this side waits.
        lines: typed meanwhile, for the text channel.
        interrupt: set to a signal's number to end the run as that signal does.
        room: awaited before more is sent or acknowledged, for a slow reader of the events.
        stdout: written for `output` `-`.
        unattended: *decide* accepts without a look at the offer.
        limit: as of `send_files`.
        written: files that this run writes to, and what it writes there, such as its events.

    Returns:
        The outcome, when the transfer was carried to its end; look at `ok`.

    Raises:
        DcsendError: it was not; the events `error` and `done` were emitted.
    """
    limit = RateLimit(settings.limit_rate) if limit is None else limit
    if settings.keep and settings.existing is Existing.REFUSE:
        settings = replace(settings, existing=Existing.RENAME)
    if settings.destination is not None:
        keep_out(settings.destination)
        if settings.names_file:
            keep_out(settings.destination.parent)

    async def story(tally: Tally) -> None:
        check_name(settings.name)

        def anew(existing: Existing, folder: str) -> Sink:
            chosen = replace(settings, existing=existing)
            if folder:
                chosen = replace(chosen, output=os.path.join(folder, ""))
            return make_sink(chosen, stdout, unattended=unattended)

        refuse_two_writers(settings, written)
        refuse_staying(settings)
        half = _receiving(settings, anew, decide, limit, unattended=unattended)
        loading = Loading(tally.emit, asyncio.to_thread, load_receiver)

        async def noted(attempt: Try) -> bool:
            assert enter is not None
            is_entered = await enter(attempt)
            if is_entered:
                tally.enter()
            return is_entered

        is_entered_here = enter is not None and not settings.keep
        emits, entering = loading.announce, noted if is_entered_here else None
        with _reported(limit, tally.emit):
            async with meet(settings, emits, "receiver", ask, confirm, entering) as arrivals:
                await loading.finish()
                if settings.keep:
                    await Senders(arrivals, half, settings, tally, room).serve()
                else:
                    await _converse(arrivals, half, settings, tally, lines, room)

    return await conclude(
        story, emit, "receiver", interrupt, advise=partial(how_to_go_on, settings, "receiver")
    )


def _reported(limit: RateLimit, emit: Emit) -> AbstractContextManager[None]:
    """Emit each change of the limit while the context lasts."""
    return limit.watched(lambda: emit(Limited(limit.rate)))


def _sending(found: Scan, settings: Settings, preparation: Preparation, limit: RateLimit) -> Half:
    """Return what makes the sending half for a peer."""
    shared: Shared | None = None
    if settings.times != 1:
        from dcsend.files.shared import Shared

        shared = Shared(len(found.entries))

    async def half(peer: ConnectedPeer, tally: Tally, arrivals: Arrivals) -> Outgoing:
        manifest = await preparation.result()
        from dcsend.files.source import FileSource
        from dcsend.session.lasting import LastingConnection
        from dcsend.session.lasting_channel import LastingChannel
        from dcsend.session.outgoing import Outgoing, block_size

        lasting = peer.connection
        # A stream can be read once.
        if isinstance(lasting, LastingConnection) and total_size(found.entries) is not None:
            lasting.allow_anew()
            peer = replace(peer, features=lasting.features)

        def accepted() -> None:
            if shared is None:
                preparation.release()
            arrivals.accepted()

        data = peer.connection.channels["data"]
        if isinstance(data, LastingChannel):
            data.pace(limit.take)
        share = shared.reader() if shared is not None else None
        return Outgoing(
            peer,
            found.entries,
            FileSource(found, block_size=block_size(settings.block_size), share=share),
            settings,
            tally,
            limit,
            agent=agent(),
            left_out=found.left_out,
            manifest=manifest,
            accepted=accepted,
        )

    return half


def _receiving(
    settings: Settings,
    anew: Callable[[Existing, str], Sink],
    decide: Decide,
    limit: RateLimit,
    *,
    unattended: bool,
) -> Half:
    """Return what makes the receiving half for a peer.

    Raises:
        DcsendError: the destination can't be used.
    """
    inbox = Inbox(settings, decide, unattended=unattended) if settings.keep else None
    # Made now to check the destination; used for the first peer.
    unused = [anew(settings.existing, "")]

    async def half(peer: ConnectedPeer, tally: Tally, arrivals: Arrivals) -> Incoming:
        from dcsend.session.incoming import Incoming

        admission = inbox.admission(tally) if inbox is not None else None

        def anew_here(existing: Existing) -> Sink:
            return anew(existing, admission.folder if admission is not None else "")

        return Incoming(
            peer,
            unused.pop() if unused else anew(settings.existing, ""),
            settings,
            tally,
            decide if admission is None else admission.decide,
            limit,
            anew=anew_here,
            agent=agent(),
            accepted=arrivals.accepted,
            admission=admission,
        )

    return half


async def _converse(
    arrivals: Arrivals,
    half: Half,
    settings: Settings,
    tally: Tally,
    lines: asyncio.Queue[str] | None,
    room: Room | None,
) -> None:
    """Transfer with one peer after the other, until a person has accepted or declined one."""
    while True:
        connection = await arrivals.next()
        if await converse(connection, arrivals, half, settings, tally, lines, room):
            return
