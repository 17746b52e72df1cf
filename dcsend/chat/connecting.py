"""How a chat connects: by a dial code, or by two session descriptions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from dcsend.chat.events import Emit, StateChanged
from dcsend.chat.settings import ChatSettings
from dcsend.dtls.certificate import Certificate
from dcsend.errors import UsageError
from dcsend.session.events import Event, Failed
from dcsend.settings import Settings

if TYPE_CHECKING:
    from dcsend.chat.connection import ChatConnection
    from dcsend.description import SdpType
    from dcsend.ice.connection import IceConnection
    from dcsend.peers.peer import ConnectionRole
    from dcsend.session.exchange import Ask

__all__ = ["chat_peer", "connect"]


def chat_peer(ice: IceConnection, certificate: Certificate, role: ConnectionRole) -> ChatConnection:
    """Make a connection with the channels that either side opens; called after `load_aiortc`."""
    from dcsend.chat.connection import ChatConnection

    return ChatConnection(ice, certificate, role)


@asynccontextmanager
async def connect(
    settings: Settings, choices: ChatSettings, emit: Emit, ask: Ask | None
) -> AsyncIterator[ChatConnection]:
    """Yield a connection; emit the states before it, and `failed` if there is no connection."""
    begun = connected = False

    def connecting(peer: object = None) -> None:
        nonlocal begun
        begun = True
        emit(StateChanged("connecting"))

    def show(event: Event) -> None:
        if isinstance(event, Failed) and begun and not connected:
            emit(StateChanged("failed"))
        emit(event)

    async with _signaling(settings, choices, show, ask, connecting) as peer:
        if not begun:  # a listener is not notified before it is connected
            connecting()
        connected = True
        yield peer


def _signaling(
    settings: Settings,
    choices: ChatSettings,
    emit: Callable[[Event], None],
    ask: Ask | None,
    connecting: Callable[[object], None],
) -> AbstractAsyncContextManager[ChatConnection]:
    """Choose the way to connect: a dial code, or session descriptions."""
    from dcsend.signaling.blob import is_blob

    if choices.listens or (settings.code and not is_blob(settings.code)):
        from dcsend.session.meeting import by_code

        if settings.turn and not settings.code:
            raise UsageError(
                "a TURN server can't be used with a dial code",
                "use two codes: dcsend chat --offer here, dcsend chat on the other side",
            )
        if settings.code:
            connecting(None)
        return by_code(settings, emit, "chat", chat_peer)
    from dcsend.session.exchange import ExchangeOptions, exchange, refuse_short_code

    async def asked(wanted: SdpType | None, validate: Callable[[str], object]) -> str:
        def check(text: str) -> None:
            refuse_short_code(text)
            validate(text)

        assert ask is not None
        return await ask(wanted, check)

    # The demo's answerer is the DTLS client, which determines the stream ids of the channels.
    options = ExchangeOptions(choices.offers, compact=not choices.shows_json, active=True)
    return exchange(settings, options, emit, asked if ask else None, chat_peer, prepared=connecting)
