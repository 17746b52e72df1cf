"""The senders of a receiver that stays (`--keep`)."""

from __future__ import annotations

from typing import ClassVar

from dcsend.entry import Existing
from dcsend.errors import UsageError
from dcsend.files.sender_folders import check_template
from dcsend.session.admission import NEVER_REPLACES
from dcsend.session.events import OfSender, SenderFinished
from dcsend.session.several import Several
from dcsend.settings import Settings, Signal

__all__ = ["Senders", "refuse_staying"]


def refuse_staying(settings: Settings) -> None:
    """Refuse what a receiver that stays can't do.

    Raises:
        UsageError: the settings have such a thing.
    """
    if not settings.keep:
        return
    if settings.into:
        check_template(settings.into)
    if settings.code:
        raise UsageError(
            "--keep is for the side that prints the code", "leave it out, or leave out the code"
        )
    if settings.signal is Signal.SDP:
        raise UsageError(
            "--keep can't be used with two codes, which connect two sides only",
            "leave out --signal sdp",
        )
    if settings.dry_run:
        raise UsageError("--keep and --dry-run contradict each other", "choose one of them")
    if settings.existing is Existing.OVERWRITE:
        raise UsageError(NEVER_REPLACES, "leave out --overwrite")
    if settings.destination is None or settings.names_file:
        raise UsageError(
            "--keep saves in a folder, and --output is not one",
            "name a folder; one with an extension ends with a slash",
        )


class Senders(Several):
    """Receives from several senders; see `Several`."""

    _of_peer: ClassVar = OfSender
    _finished: ClassVar = SenderFinished

    @property
    def _is_done(self) -> bool:
        return not self._is_busy

    @property
    def _expired(self) -> str:
        return "the code has expired, and nothing was received completely"
