"""One run of `dcsend chat`, from checked options to the exit status."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from dcsend.chat.events import ChatEvent, StateChanged
from dcsend.chat.session import chat
from dcsend.chat.settings import ChatSettings
from dcsend.display.asking import Asker
from dcsend.display.log import log_event
from dcsend.display.streams import Stream, enable_escapes, is_terminal
from dcsend.errors import DcsendError
from dcsend.session.events import Event
from dcsend.settings import Settings
from dcsend.stage import DisplayOptions, event_writer, run_loop, typed_input

if TYPE_CHECKING:
    from dcsend.chat.transcript import ChatDisplay, ChatOptions
    from dcsend.display.jsonlines import JsonDisplay
    from dcsend.session.conversation import Room

__all__ = ["run"]

logger = logging.getLogger(__name__)


def run(
    settings: Settings, choices: ChatSettings, shown: ChatOptions, options: DisplayOptions
) -> int:
    """Chat; return the exit status."""

    async def run_chat(interrupt: asyncio.Future[int], room: Room) -> int:
        source = typed_input()
        display = _display(shown, options, lambda: source.pending() if source else "")
        events = event_writer(options, verbose=True)
        asker = Asker(source, Stream.stderr(), interactive=is_terminal(sys.stdin))
        lines = source.lines if source else None
        if source is not None and not _asks(settings, choices):
            source.release()

        def show(event: Event | ChatEvent) -> None:
            if isinstance(event, StateChanged):
                logger.debug("state %s", event.state)
                if source is not None:
                    source.release()  # no code will be pasted any more
            else:
                log_event(event)
            display.show(event)
            if events is not None:
                events.show(event)

        try:
            finished = await chat(
                settings, choices, show, asker, lines=lines, interrupt=interrupt, room=room
            )
            return finished.exit
        except DcsendError as exc:
            return exc.exit_status  # the display has shown it
        finally:
            display.close()
            if events is not None:
                events.close()
            if source is not None:
                source.close()

    return run_loop(run_chat)


def _asks(settings: Settings, choices: ChatSettings) -> bool:
    """Return whether a code will be pasted, so that typed text may be one."""
    return choices.offers or not (settings.code or choices.listens)


def _display(
    shown: ChatOptions, options: DisplayOptions, pending: Callable[[], str]
) -> ChatDisplay | JsonDisplay:
    if options.json:
        from dcsend.display.jsonlines import JsonDisplay

        return JsonDisplay(Stream.stdout(), verbose=True)
    from dcsend.chat.transcript import ChatDisplay

    enable_escapes()
    return ChatDisplay(Stream.stdout(), Stream.stderr(), shown, pending)
