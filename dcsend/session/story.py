"""The story of a run: meet, talk, carry the files over, sum up.

send_files:     scan ─► meet ─► Outgoing in a Conversation ─► Finished
receive_files:  sink ─► meet ─► Incoming in a Conversation ─► Finished

What is needed only once the other side is there is loaded only then: the code is on the
screen sooner by a third.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from dcsend._version import __version__
from dcsend.errors import (
    DcsendError,
    DestinationError,
    LocalProtocolError,
    SourceError,
    UsageError,
)
from dcsend.files.manifest import Scan, scan, scan_stream, scan_text
from dcsend.importing import keep_out
from dcsend.printable import printable
from dcsend.session.advice import how_to_go_on
from dcsend.session.conclusion import conclude
from dcsend.session.events import (
    CodeReady,
    DescriptionReady,
    Emit,
    Event,
    FileFinished,
    Finished,
    Warned,
)
from dcsend.session.meeting import meet
from dcsend.session.outcome import Tally
from dcsend.session.worker import Worker
from dcsend.settings import STDIO, Settings

if TYPE_CHECKING:
    from dcsend.engines.base import Connection
    from dcsend.files.operations import Sink
    from dcsend.session.arrivals import Arrivals
    from dcsend.session.exchange import Ask
    from dcsend.session.incoming import Decide, Incoming
    from dcsend.session.outgoing import Outgoing

__all__ = ["agent", "receive_files", "send_files"]


def agent() -> str:
    """Return what we call ourselves: version and system, nothing personal."""
    return f"dcsend/{__version__} ({platform.system()}; Python {platform.python_version()})"


_EARLY: Final = 20_000
"Entries that are encoded while the other side is awaited; of more it would take too much memory."
_MANY: Final = 1000
"Entries whose names can't be too long together, since a path has 4096 bytes at most."


async def send_files(
    paths: Sequence[str],
    settings: Settings,
    emit: Emit,
    *,
    ask: Ask | None = None,
    lines: asyncio.Queue[str] | None = None,
    interrupt: asyncio.Future[int] | None = None,
    stdin: BinaryIO | None = None,
) -> Finished:
    """Send files, folders, standard input or a text to whoever holds the code.

    Args:
        paths: what to send; `-` is standard input.
        settings: everything else.
        emit: told of every event; the last one is what is returned.
        ask: asked for the other side's session description, where those are exchanged.
        lines: what the person types meanwhile, for the text channel.
        interrupt: set to a signal's number to end the run as that signal does.
        stdin: read for `-`.

    Returns:
        The outcome, when the transfer was carried to its end; look at `ok`.

    Raises:
        DcsendError: it was not; also told by the events `error` and `done`.
    """

    async def story(tally: Tally, emit: Emit) -> None:
        with closing(Worker("dcsend-scan")) as worker:
            found = await worker.run(lambda: _scan(paths, settings, stdin))
            encoding: asyncio.Task[list[str]] | None = None
            loading: asyncio.Task[None] | None = None

            def begin() -> None:
                """Do what waits for our code, if there is one, but not for the other side."""
                nonlocal encoding
                if encoding is None:
                    _tell(found, tally, emit)
                    encoding = asyncio.create_task(worker.run(partial(_encode, found)))

            def announce(event: Event) -> None:
                """Let the code be the first thing that anybody sees."""
                nonlocal loading
                emit(event)
                if isinstance(event, CodeReady | DescriptionReady):
                    begin()
                if isinstance(event, DescriptionReady) and loading is None:
                    # By the worker, which may load parts of it for the manifest just now: two
                    # threads that load modules which import each other get unfinished ones.
                    loading = asyncio.create_task(worker.run(_load_sender))

            if not found.entries:
                _tell(found, tally, emit)
                raise SourceError(
                    "nothing is left to send", "look at --exclude, and at what is named"
                )
            if settings.code:
                begin()
            try:
                async with meet(settings, announce, "sender", ask) as arrivals:
                    await _loaded(loading)
                    half = partial(
                        _outgoing,
                        found,
                        settings,
                        emit,
                        tally=tally,
                        manifest=encoding,
                        accepted=arrivals.accepted,
                    )
                    await _converse(arrivals, half, settings, emit, lines)
            finally:
                await _ended(encoding, loading)

    return await conclude(
        story, emit, "sender", interrupt, advise=partial(how_to_go_on, settings, "sender")
    )


async def receive_files(
    settings: Settings,
    emit: Emit,
    decide: Decide,
    *,
    ask: Ask | None = None,
    lines: asyncio.Queue[str] | None = None,
    interrupt: asyncio.Future[int] | None = None,
    stdout: BinaryIO | None = None,
    unattended: bool = False,
) -> Finished:
    """Receive what the holder, or the publisher, of the code sends.

    Args:
        settings: everything that has a default.
        emit: told of every event; the last one is what is returned.
        decide: asked once whether to accept.
        ask: asked for the other side's session description, where those are exchanged.
        lines: what the person types meanwhile, for the text channel.
        interrupt: set to a signal's number to end the run as that signal does.
        stdout: written for `output` `-`.
        unattended: *decide* accepts what it has not looked at.

    Returns:
        The outcome, when the transfer was carried to its end; look at `ok`.

    Raises:
        DcsendError: it was not; also told by the events `error` and `done`.
    """
    if settings.destination is not None:
        keep_out(settings.destination)

    async def story(tally: Tally, emit: Emit) -> None:
        sink: Sink | None = _sink(settings, stdout, unattended=unattended)
        loading: asyncio.Task[None] | None = None

        def announce(event: Event) -> None:
            nonlocal loading
            emit(event)
            if isinstance(event, DescriptionReady) and loading is None:
                loading = asyncio.create_task(asyncio.to_thread(_load_receiver))

        async with meet(settings, announce, "receiver", ask) as arrivals:
            await _loaded(loading)

            def half(connection: Connection) -> Incoming:
                nonlocal sink
                from dcsend.session.incoming import Incoming

                # The one that was made first is for the first peer.
                mine, sink = sink or _sink(settings, stdout, unattended=unattended), None
                return Incoming(
                    connection,
                    mine,
                    settings,
                    emit,
                    decide,
                    agent=agent(),
                    tally=tally,
                    accepted=arrivals.accepted,
                )

            await _converse(arrivals, half, settings, emit, lines)

    return await conclude(
        story, emit, "receiver", interrupt, advise=partial(how_to_go_on, settings, "receiver")
    )


async def _loaded(loading: asyncio.Task[None] | None) -> None:
    if loading is not None:
        await loading


async def _ended(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel what still runs."""
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def _load_sender() -> None:
    """Load what a transfer needs: 80 ms of processor time, while a person carries the code.

    Not with a dial code: there aiortc is being loaded then, and the other side waits for that.
    """
    import dcsend.files.source
    import dcsend.session.conversation
    import dcsend.session.outgoing  # noqa: F401


def _load_receiver() -> None:
    """Load the same for the other half."""
    import dcsend.session.conversation
    import dcsend.session.incoming  # noqa: F401


def _outgoing(
    found: Scan,
    settings: Settings,
    emit: Emit,
    connection: Connection,
    *,
    tally: Tally,
    manifest: asyncio.Task[list[str]] | None,
    accepted: Callable[[], None],
) -> Outgoing:
    """Return what sends everything to one peer."""
    from dcsend.files.source import Source
    from dcsend.session.outgoing import Outgoing, block_size

    return Outgoing(
        connection,
        found.entries,
        Source(found, block_size=block_size(settings.block_size)),
        settings,
        emit,
        agent=agent(),
        tally=tally,
        manifest=manifest,
        accepted=accepted,
    )


async def _converse(
    arrivals: Arrivals,
    half: Callable[[Connection], Outgoing | Incoming],
    settings: Settings,
    emit: Emit,
    lines: asyncio.Queue[str] | None,
) -> None:
    """Talk to one peer after the other, until one has been answered by a person."""
    while True:
        connection = await arrivals.next()
        from dcsend.session.conversation import Conversation

        party = half(connection)
        party.conversation = Conversation(connection, settings, emit, lines)
        try:
            await party.conversation.run(party, arrivals.displaced())
        except DcsendError as error:
            if party.answered or isinstance(error, LocalProtocolError):
                raise
            await arrivals.parted(error, introduced=party.introduced)
        else:
            return


def _scan(paths: Sequence[str], settings: Settings, stdin: BinaryIO | None) -> Scan:
    """List everything that shall be sent."""
    named = [path for path in paths if path != STDIO]
    found = scan(named, exclude=settings.exclude, links=settings.links)
    if len(named) < len(paths):
        if stdin is None or len(named) < len(paths) - 1:
            raise UsageError(
                "standard input can be sent once only", "name - once, beside files if you like"
            )
        found += scan_stream(stdin, settings.stdin_name)
    if settings.text is not None:
        found += scan_text(settings.text)
    if len(found.entries) >= _MANY:
        # Before a code is shown; what is less is always allowed, and the code is there sooner.
        from dcsend.protocol.messages import check_offer

        check_offer(found.entries)
    return found


def _encode(found: Scan) -> list[str]:
    """Write the manifest; empty if it is better written while it is sent."""
    if len(found.entries) > _EARLY:
        return []
    from dcsend.protocol.messages import encode_manifest

    return encode_manifest(found.entries)


def _tell(found: Scan, tally: Tally, emit: Emit) -> None:
    """Report what is left out, and what can't be sent."""
    for note in found.notes:
        emit(Warned("skipped", note))
    for problem in found.problems:
        file = FileFinished(
            problem.path, "failed", 0, reason=problem.reason, exit=SourceError.exit_status
        )
        tally.files.add(file)
        emit(file)


def _sink(settings: Settings, stdout: BinaryIO | None, *, unattended: bool) -> Sink:
    root = settings.destination
    if root is not None:
        from dcsend.files.planning import check_root
        from dcsend.files.sink import DirectorySink

        try:
            # Before a code is used up for a folder that can't be used.
            check_root(root)
            return DirectorySink(root, existing=settings.existing, unattended=unattended)
        except OSError as exc:
            raise DestinationError(
                f"can't use {printable(str(root))}: {exc.strerror}", "choose another with --output"
            ) from exc
    if stdout is None:
        raise UsageError("output '-' without a stream to write to", "pass stdout=…")
    from dcsend.files.stream import StreamSink

    return StreamSink(stdout)
