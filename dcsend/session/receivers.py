"""The receivers of a sender that serves several of them with one code (`--times`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from dcsend.errors import UsageError
from dcsend.session.arrivals import Arrivals
from dcsend.session.events import (
    Event,
    ManifestKnown,
    OfReceiver,
    ReceiverFinished,
    total_size,
)
from dcsend.session.one_peer import Half
from dcsend.session.outcome import Tally
from dcsend.session.several import Several
from dcsend.settings import STDIO, Settings, Signal

if TYPE_CHECKING:
    from dcsend.entry import Entry
    from dcsend.session.conversation import Room

__all__ = ["Receivers", "refuse_streams", "refuse_ways"]


def refuse_ways(paths: Sequence[str], settings: Settings) -> None:
    """Refuse what only one receiver can have.

    Raises:
        UsageError: there are to be several.
    """
    if settings.times == 1:
        return
    if settings.times is not None and settings.times < 1:
        raise UsageError(
            f"{settings.times} receivers can't be served", "give a number from 1, or any"
        )
    if STDIO in paths:
        raise UsageError(
            "standard input can be sent to one receiver only, because it can be read once",
            "save it to a file and send that, or leave out --times",
        )
    if settings.code:
        raise UsageError(
            "--times is for the side that prints the code", "leave it out, or leave out --to"
        )
    if settings.signal is Signal.SDP:
        raise UsageError(
            "--times can't be used with two codes, which connect two sides only",
            "leave out --signal sdp",
        )


def refuse_streams(entries: Sequence[Entry], settings: Settings) -> None:
    """Refuse pipes and devices, which can be read once, if there are to be several receivers.

    Raises:
        UsageError: *entries* has one.
    """
    if settings.times != 1 and total_size(entries) is None:
        raise UsageError(
            "a pipe or device can be sent to one receiver only, because it can be read once",
            "save its content to a file and send that, or leave out --times",
        )


class Receivers(Several):
    """Sends to several receivers; see `Several`."""

    _of_peer: ClassVar = OfReceiver
    _finished: ClassVar = ReceiverFinished

    def __init__(
        self, arrivals: Arrivals, half: Half, settings: Settings, tally: Tally, room: Room | None
    ) -> None:
        super().__init__(arrivals, half, settings, tally, room)
        self._is_offer_known = False

    @property
    def _is_done(self) -> bool:
        is_any = self._settings.peers is None
        return is_any and bool(self._counts.complete) and not self._is_busy

    @property
    def _expired(self) -> str:
        if (wanted := self._settings.peers) is None:
            return "the code has expired, and no receiver has everything"
        complete = self._counts.complete
        return f"the code has expired, and {complete} of {wanted} receivers have everything"

    def _emit(self, number: int, event: Event) -> None:
        """Emit an event of a receiver; the offer, which is the same for all, only once."""
        if not isinstance(event, ManifestKnown):
            super()._emit(number, event)
        elif not self._is_offer_known:
            self._is_offer_known = True
            self._tally.emit(event)
