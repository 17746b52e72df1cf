"""The story of a run: meet, talk, carry the files over, sum up.

send_files:     scan ─► meet ─► Outgoing in a Conversation ─► Finished
receive_files:  sink ─► meet ─► Incoming in a Conversation ─► Finished

What is needed only once the other side is there is loaded only then: the code is on the
screen sooner by a third.
"""

from __future__ import annotations

import asyncio
import contextlib
import platform
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from dcsend._version import __version__
from dcsend.errors import (
    DcsendError,
    DestinationError,
    Interrupted,
    SourceError,
    UsageError,
)
from dcsend.files.manifest import Scan, scan, scan_stream, scan_text
from dcsend.printable import printable
from dcsend.session.events import (
    CodeReady,
    Emit,
    Event,
    Failed,
    FileFinished,
    Finished,
    Warned,
)
from dcsend.session.meeting import meet
from dcsend.session.outcome import Tally, exit_status, failure
from dcsend.session.worker import Worker
from dcsend.settings import STDIO, Settings

if TYPE_CHECKING:
    from dcsend.files.operations import Sink
    from dcsend.session.incoming import Decide

__all__ = ["agent", "receive_files", "send_files"]


def agent() -> str:
    """Return what we call ourselves: version and system, nothing personal."""
    return f"dcsend/{__version__} ({platform.system()}; Python {platform.python_version()})"


async def send_files(
    paths: Sequence[str],
    settings: Settings,
    emit: Emit,
    *,
    lines: asyncio.Queue[str] | None = None,
    interrupt: asyncio.Future[int] | None = None,
    stdin: BinaryIO | None = None,
) -> Finished:
    """Send files, folders, standard input or a text to whoever holds the code.

    Args:
        paths: what to send; `-` is standard input.
        settings: everything else.
        emit: told of every event; the last one is what is returned.
        lines: what the person types meanwhile, for the text channel.
        interrupt: set to a signal's number to end the run as that signal does.
        stdin: read for `-`.

    Returns:
        The outcome, when the transfer was carried to its end; look at `ok`.

    Raises:
        DcsendError: it was not; also told by the events `error` and `done`.
    """

    async def story(tally: Tally) -> None:
        worker = Worker("dcsend-scan")
        try:
            found = await worker.run(lambda: _scan(paths, settings, stdin))
        finally:
            worker.close()

        def announce(event: Event) -> None:
            """Let the code be the first thing that anybody sees."""
            emit(event)
            if isinstance(event, CodeReady):
                _tell(found, tally, emit)

        if settings.code or not found.entries:
            _tell(found, tally, emit)
        if not found.entries:
            raise SourceError("nothing is left to send", "look at --exclude, and at what is named")
        async with meet(settings, announce, "sender") as connection:
            from dcsend.files.source import Source
            from dcsend.session.conversation import Conversation
            from dcsend.session.outgoing import Outgoing, block_size

            source = Source(found, block_size=block_size(settings.block_size))
            outgoing = Outgoing(
                connection, found.entries, source, settings, emit, agent=agent(), tally=tally
            )
            outgoing.conversation = Conversation(connection, settings, emit, lines)
            await outgoing.conversation.run(outgoing)

    return await _conclude(story, emit, "sender", interrupt)


async def receive_files(
    settings: Settings,
    emit: Emit,
    decide: Decide,
    *,
    lines: asyncio.Queue[str] | None = None,
    interrupt: asyncio.Future[int] | None = None,
    stdout: BinaryIO | None = None,
) -> Finished:
    """Receive what the holder, or the publisher, of the code sends.

    Args:
        settings: everything that has a default.
        emit: told of every event; the last one is what is returned.
        decide: asked once whether to accept.
        lines: what the person types meanwhile, for the text channel.
        interrupt: set to a signal's number to end the run as that signal does.
        stdout: written for `output` `-`.

    Returns:
        The outcome, when the transfer was carried to its end; look at `ok`.

    Raises:
        DcsendError: it was not; also told by the events `error` and `done`.
    """

    async def story(tally: Tally) -> None:
        sink = _sink(settings, stdout)
        async with meet(settings, emit, "receiver") as connection:
            from dcsend.session.conversation import Conversation
            from dcsend.session.incoming import Incoming

            incoming = Incoming(
                connection, sink, settings, emit, decide, agent=agent(), tally=tally
            )
            incoming.conversation = Conversation(connection, settings, emit, lines)
            await incoming.conversation.run(incoming)

    return await _conclude(story, emit, "receiver", interrupt)


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
    return found


def _tell(found: Scan, tally: Tally, emit: Emit) -> None:
    """Report what is left out, and what can't be sent."""
    for note in found.notes:
        emit(Warned("skipped", note))
    for problem in found.problems:
        file = FileFinished(
            problem.path, "failed", 0, reason=problem.reason, exit=SourceError.exit_status
        )
        tally.files.append(file)
        emit(file)


def _sink(settings: Settings, stdout: BinaryIO | None) -> Sink:
    root = settings.destination
    if root is not None:
        from dcsend.files.planning import check_root
        from dcsend.files.sink import DirectorySink

        try:
            # Before a code is used up for a folder that can't be used.
            check_root(root)
            return DirectorySink(root, existing=settings.existing)
        except OSError as exc:
            raise DestinationError(
                f"can't use {printable(str(root))}: {exc.strerror}", "choose another with --output"
            ) from exc
    if stdout is None:
        raise UsageError("output '-' without a stream to write to", "pass stdout=…")
    from dcsend.files.stream import StreamSink

    return StreamSink(stdout)


async def _conclude(
    story: Callable[[Tally], Coroutine[None, None, None]],
    emit: Emit,
    role: str,
    interrupt: asyncio.Future[int] | None,
) -> Finished:
    """Run *story*; emit exactly one `Finished`, whatever happens."""
    tally = Tally()
    clock = asyncio.get_running_loop().time

    def finished(status: int) -> Finished:
        seconds = clock() - tally.started if tally.started is not None else 0.0
        return Finished(not status, status, tally.bytes, seconds, tuple(tally.files), role)

    try:
        await _until_interrupted(story(tally), interrupt)
    except DcsendError as exc:
        emit(Failed(exc))
        emit(finished(exc.exit_status))
        raise
    except asyncio.CancelledError:
        emit(finished(130))
        raise
    except Exception as exc:
        # Nobody foresaw it; a program that reads our events must hear of it all the same.
        error = DcsendError(f"unexpected: {exc!r}", "this is a bug in dcsend; please report it")
        emit(Failed(error))
        emit(finished(error.exit_status))
        raise error from exc
    if (summary := failure(tally.files)) is not None:
        emit(Failed(summary))
    done = finished(exit_status(tally.files))
    emit(done)
    return done


async def _until_interrupted(
    story: Coroutine[None, None, None], interrupt: asyncio.Future[int] | None
) -> None:
    """Await *story*, or end it when *interrupt* is set; it cleans up in either case."""
    task = asyncio.create_task(story)
    try:
        either: set[asyncio.Future[Any]] = {task}
        if interrupt is not None:
            either.add(interrupt)
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    finally:
        interrupted = not task.done()
        if interrupted:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, DcsendError):
                await task
    if interrupted and interrupt is not None:
        raise Interrupted(
            interrupt.result(),
            "what is complete stays; run it again on both sides, with --skip for the rest",
        )
    await task
