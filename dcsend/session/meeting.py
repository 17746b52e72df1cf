"""How the two sides connect: publish a code and wait, or dial one."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    aclosing,
    asynccontextmanager,
    nullcontext,
)
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from dcsend.dtls.certificate import Certificate
from dcsend.errors import CodeExpired, ConnectionFailed, DcsendError, TimedOut, UsageError
from dcsend.ice.stun import parse_server
from dcsend.net.udp import UdpPort
from dcsend.peers.listener import Listener
from dcsend.peers.loading import Make, Peer, transfer_peer
from dcsend.rendezvous.servers import NONE, read_option
from dcsend.session.arrivals import Arrivals, Awaited, Dialed, Met
from dcsend.session.conclusion import reported_first
from dcsend.session.entered import EarlyServer, Enter, WaitingOrEntered
from dcsend.session.events import CodeReady, Emit, Event, Failed, ShortCodeReady
from dcsend.session.hiding import refuse_direct, require_relay, unless
from dcsend.session.hosting import Hosting, hosting
from dcsend.session.publishing import WATCH, Publication, Watch, canonical, failed_dials
from dcsend.session.short_codes import Confirm, ShortCodes, first_code, host_in_code
from dcsend.session.waiting import noting
from dcsend.session.ways_back import lasting_awaited, lasting_dialed, lasting_joined
from dcsend.settings import Settings, Signal
from dcsend.signaling.dialcode import decode, ice_password, new_secret
from dcsend.signaling.link import both_codes
from dcsend.signaling.shortcode import is_short_code, read

if TYPE_CHECKING:
    from dcsend.description import SdpType
    from dcsend.session.exchange import Ask

__all__ = ["by_code", "meet"]


@asynccontextmanager
async def meet(
    settings: Settings,
    emit: Emit,
    role: str,
    ask: Ask | None = None,
    confirm: Confirm | None = None,
    enter: Enter | None = None,
) -> AsyncIterator[Arrivals]:
    """Yield the source of the peers; their connections are closed at the end.

    Args:
        settings: how to connect.
        emit: gets the code for the other side, and an error before the connection is closed
            because of it.
        role: `sender` or `receiver`.
        ask: returns the other side's description, where those are exchanged, or another code.
        confirm: asks whether to show another short code after several wrong ones.
        enter: reads codes that a person enters while this side waits, and tries them.

    Raises:
        DcsendError: no peer connected, or it did not answer, or it was not authentic.
    """

    def emit_shown(event: Event) -> None:
        if isinstance(event, ShortCodeReady):
            early.shown(read(event.code).number)
        emit(event)

    def with_code(code: str) -> Settings:
        return replace(settings, code=code, signal=Signal.DIAL)

    def is_offer(code: str) -> bool:
        return _is_exchanged(with_code(code))

    @asynccontextmanager
    async def connect(code: str) -> AsyncIterator[Arrivals]:
        is_connected = is_offer(code)

        def report(event: Event) -> None:
            # Before that, the error is shown where another code can be entered.
            if is_connected or not isinstance(event, Failed):
                emit(event)

        # The code that is shown here has the port.
        port = settings.port if is_connected else 0
        here = replace(with_code(code), port=port)
        async with _one_way(here, report, role, ask, None, early) as arrivals:
            is_connected = True
            yield arrivals

    async with EarlyServer(settings) as early, AsyncExitStack() as ways:
        try:
            way = _one_way(settings, emit_shown, role, ask, confirm)
            arrivals = await ways.enter_async_context(way)
        except OtherCode as other:
            way = _one_way(with_code(other.code), emit, role, ask, None)
            arrivals = await ways.enter_async_context(way)
        if enter is None or not isinstance(arrivals, Awaited):
            yield arrivals
            return
        either = WaitingOrEntered(
            arrivals, enter, connect, early, end=ways.aclose, is_offer=is_offer
        )
        try:
            yield either
        finally:
            await either.close()


@asynccontextmanager
async def _one_way(
    settings: Settings,
    emit: Emit,
    role: str,
    ask: Ask | None,
    confirm: Confirm | None,
    early: EarlyServer | None = None,
) -> AsyncIterator[Arrivals]:
    """Yield the source of the peers, without a change of the code."""
    if _is_exchanged(settings):
        refuse_direct(
            settings, "--relay-only is for short codes, and this is an offer or an answer"
        )
        from dcsend.session.exchange import ExchangeOptions, exchange

        options = ExchangeOptions(offers=role == "sender", compact=True)
        asked = partial(_ask, ask) if ask is not None else None
        async with exchange(settings, options, emit, asked, transfer_peer) as connection:
            yield Met(connection)
        return
    refuse_idle_turn(settings)
    if (codes := both_codes(settings.code)) is not None:
        async with _either(settings, emit, *codes, early) as arrivals:
            yield arrivals
    elif is_short_code(settings.code):
        from dcsend.session.joining import met  # a listener does not need it

        async with met(settings, emit, read(settings.code), early) as arrivals:
            yield arrivals
    elif settings.code:
        refuse_direct(
            settings,
            "--relay-only is for short codes: a dial code needs an address of this machine",
        )
        with reported_first(emit):
            certificate = Certificate.generate()
            dial = partial(_dial, settings, transfer_peer, certificate)
            lasts = lasting_dialed(settings, emit, settings.code, certificate)
            dialed = Dialed(await dial(), dial, lasting=lasts)
        try:
            with reported_first(emit):
                yield dialed
        finally:
            await dialed.close()
    else:
        async with _published(settings, emit, role, transfer_peer, WATCH, confirm) as published:
            listener, wait, short = published
            lasting = lasting_awaited(settings, listener, short.again)
            awaited = Awaited(listener, wait, emit, settings.deadlines.hold, lasting)
            async with aclosing(awaited):
                yield awaited


@asynccontextmanager
async def by_code(
    settings: Settings, emit: Emit, role: str, make: Make[Peer], *, watch: Watch = WATCH
) -> AsyncIterator[Peer]:
    """Yield a connection by a code: that of the settings, or a new one.

    The first peer uses up a new code. *watch* is how changed addresses are looked for.
    """
    if is_short_code(settings.code):
        async with _joined(settings, emit, make) as connection:
            yield connection
    elif settings.code:
        with reported_first(emit):
            connection = await _dial(settings, make)
        try:
            with reported_first(emit):
                yield connection
        finally:
            await connection.close()
    else:
        async with _published(settings, emit, role, make, watch) as (listener, wait, _):
            connection = await wait()
            listener.use_up()
            yield connection


class OtherCode(Exception):
    """A code that is no description was entered where one is needed."""

    def __init__(self, code: str) -> None:
        super().__init__()
        self.code = code


async def _ask(ask: Ask, wanted: SdpType | None, validate: Callable[[str], object]) -> str:
    """Return a description.

    Raises:
        OtherCode: a short code or a dial code was entered instead.
    """

    def check(text: str) -> None:
        if is_short_code(text):
            read(text)
        elif not _is_dial_code(text):
            validate(text)

    text = await ask(wanted, check)
    if is_short_code(text) or _is_dial_code(text):
        raise OtherCode(text)
    return text


def _is_dial_code(text: str) -> bool:
    """Return whether *text* has a dial code, alone or with a short code."""
    if both_codes(text) is not None:
        return True
    try:
        decode(text)
    except DcsendError:
        return False
    return True


def refuse_idle_turn(settings: Settings) -> None:
    """Refuse TURN servers where nothing can use them: a dial code has no relayed addresses.

    Raises:
        UsageError: there are some.
    """
    if settings.turn and not (settings.code or settings.has_short_codes or settings.relay_only):
        raise UsageError(
            "a TURN server can't be used with a dial code",
            "add --signal sdp, on both sides, or leave out --no-mdns",
        )


@asynccontextmanager
async def _published(
    settings: Settings,
    emit: Emit,
    role: str,
    make: Make[Peer],
    watch: Watch,
    confirm: Confirm | None = None,
) -> AsyncIterator[tuple[Listener[Peer], Callable[[], Awaitable[Peer]], ShortCodes[Peer]]]:
    """Yield a listener whose code is published, what waits for its next dialer, its short codes."""
    await require_relay(settings)
    code = first_code(settings) if settings.has_short_codes else None
    async with hosting(settings, emit) as page:
        short: ShortCodes[Peer] | None = None

        def announce(event: Event) -> None:
            emit(_with_words(settings, code.words, event) if code else event)
            if isinstance(event, CodeReady) and short is not None:
                short.renew_link()

        listener, publication = await _listen(settings, announce, role, page, make, watch)
        when = datetime.datetime.now(datetime.UTC).astimezone()
        when += datetime.timedelta(seconds=settings.expires)
        short = ShortCodes(settings, emit, listener, page, when, confirm)
        expires = asyncio.get_running_loop().time() + settings.expires

        has_met = False

        async def wait() -> Peer:
            nonlocal has_met
            # After a first dialer it is certain that this machine can be reached. With a server,
            # it can be reached by the short code.
            is_certain = listener.check_arrived or short.has_server
            notes = nullcontext() if is_certain else noting(listener.facts, emit, reminds=not code)
            async with notes, publication.watching():
                waiting = _wait(listener, settings, expires, has_met=has_met)
                # The dial code, which remains without short codes, has addresses of this machine.
                peer = await (unless(showing, waiting) if settings.relay_only else waiting)
                has_met = True
                return peer

        showing: asyncio.Task[None] | None = None
        try:
            with reported_first(emit):
                page.start()
                if code:
                    showing = asyncio.create_task(short.run(code))
                yield listener, wait, short
        finally:
            if showing is not None:
                # It ends by itself then; a second cancellation would leave its mailboxes open.
                if not listener.used.is_set():
                    showing.cancel()
                await asyncio.wait({showing})
            await listener.close()


def _with_words(settings: Settings, words: Sequence[str], event: Event) -> Event:
    """Return an event, a code with what is known of the short code that follows it."""
    if isinstance(event, CodeReady):
        host = host_in_code(read_option(settings.server or NONE))
        event = replace(event, words=words, host=host, is_hidden=settings.relay_only)
    return event


def _is_exchanged(settings: Settings) -> bool:
    """Return whether an offer and an answer are exchanged, of which the code may be the first."""
    code = settings.code
    if not code:
        return settings.signal is Signal.SDP
    if is_short_code(code) or _is_dial_code(code):
        return False
    from dcsend.signaling.blob import is_blob  # a listener does not need it

    return settings.signal is Signal.SDP or is_blob(code)


def _joined(
    settings: Settings, emit: Emit, make: Make[Peer], early: EarlyServer | None = None
) -> AbstractAsyncContextManager[Peer]:
    from dcsend.session.joining import joined  # a listener does not need it

    return joined(settings, emit, read(settings.code), make, early)


@asynccontextmanager
async def _either(
    settings: Settings, emit: Emit, dial_code: str, short_code: str, early: EarlyServer | None
) -> AsyncIterator[Arrivals]:
    """Yield the side whose link has both codes, dialed or joined."""
    from dcsend.session.either import either  # a listener does not need it
    from dcsend.session.joining import join

    certificate = Certificate.generate()
    dial = partial(_dial, replace(settings, code=dial_code), transfer_peer, certificate)
    short = read(short_code)
    # The number of an expired code may be that of another side by now.
    has_expired = decode(dial_code).expires < time.time()
    if has_expired and settings.relay_only:
        with reported_first(emit):
            raise CodeExpired("the code in the link has expired")
    # A code that names no server is one for this network, where its number may be another side's.
    is_local = not (short.host or settings.server)
    joins = partial(join, settings, emit, short, transfer_peer, early, certificate)
    # A dial shows the addresses of this machine.
    dialed = "" if settings.relay_only else dial_code
    async with either(
        dial if dialed else None,
        None if has_expired or is_local else joins,
        emit,
        lasting=lasting_dialed(settings, emit, dial_code, certificate),
        rejoining=lambda reunion: lasting_joined(settings, emit, short, reunion, dialed),
    ) as arrivals:
        yield arrivals


async def _dial(
    settings: Settings, make: Make[Peer], certificate: Certificate | None = None
) -> Peer:
    from dcsend.peers.dialer import dial  # a listener does not need it

    code = decode((both_codes(settings.code) or [settings.code])[0])
    try:
        return await dial(
            [(address.host, address.port) for address in code.addresses],
            password=ice_password(code.secret),
            fingerprint=code.fingerprint,
            timeout=settings.connect_timeout,
            make=make,
            port=settings.port,
            servers=[parse_server(server) for server in settings.diagnosing],
            certificate=certificate,
        )
    except ConnectionFailed:
        # Clocks differ between machines, so the time in the code only explains a failure.
        if code.expires < time.time():
            raise CodeExpired("no answer, and the code has expired") from None
        raise


async def _listen(
    settings: Settings, emit: Emit, role: str, page: Hosting, make: Make[Peer], watch: Watch
) -> tuple[Listener[Peer], Publication[Peer]]:
    """Open the port, publish the code."""
    chosen = [canonical(address) for address in settings.addresses]
    # With addresses that the user has chosen, no server is needed.
    servers = [] if chosen else [parse_server(server) for server in settings.stun]
    certificate, secret = Certificate.generate(), new_secret()
    listener = Listener(
        await UdpPort.open(settings.port),
        certificate=certificate,
        password=ice_password(secret),
        make=make,
        stun_servers=servers,
        stun_chosen=settings.stun_chosen,
        failed=failed_dials(emit),
        places=settings.places,
    )
    try:
        publication = Publication(settings, emit, role, page, listener, secret, certificate, watch)
        await publication.publish()
    except BaseException:
        await listener.close()
        raise
    return listener, publication


async def _wait(
    listener: Listener[Peer], settings: Settings, expires: float, *, has_met: bool
) -> Peer:
    try:
        async with asyncio.timeout_at(expires):
            return await listener.accept()
    except TimeoutError:
        await listener.expire()
        raise TimedOut(
            "nothing was received before the code expired"
            if has_met
            else f"no device connected with the code within {_duration(settings.expires)}",
            "run it again for a new code; --expires sets a longer time",
        ) from None
    except ImportError as exc:
        raise DcsendError(
            f"aiortc can't be loaded: {exc}", "install dcsend again, with its dependencies"
        ) from exc


def _duration(seconds: float) -> str:
    """Return a duration as text.

    >>> _duration(3600), _duration(90), _duration(2)
    ('1 h', '90 s', '2 s')
    """
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:g} s"
