"""The code of a listener: its content, and a new one when the addresses of this machine change.

publish ─► one code ─► watch: addresses changed, network lost, network back ─► notes, further codes

All codes of one run have the same secret, certificate, port and expiry, so each of them works where
its addresses lead to this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Generic

from dcsend.dtls.certificate import Certificate
from dcsend.errors import ConnectionFailed, DcsendError, UsageError
from dcsend.net.interfaces import is_loopback, own_addresses, side_network
from dcsend.peers.listener import Listener
from dcsend.peers.loading import Peer
from dcsend.printable import printable
from dcsend.session.events import CodeReady, Emit, Warned
from dcsend.session.hosting import Hosting
from dcsend.settings import Settings
from dcsend.signaling.dialcode import MAX_TIME, Address, DialCode, select_addresses

__all__ = ["WATCH", "ChangeNotes", "Publication", "Watch", "canonical", "failed_dials"]

logger = logging.getLogger(__name__)

_MAX_FAILED: Final = 20
"Failed dials that are reported each; an attacker with the code can cause fifty a second."


@dataclass(frozen=True, slots=True)
class Watch:
    """How and how often changed addresses are looked for; in seconds.

    Args:
        read: returns the addresses of this machine, address -> interface, best first.
        poll: between two reads; a change counts when two reads agree. One takes 0.7 ms (4
            addresses, Linux 6.18, a busy machine). Notifications differ on each system.
        ask: between two requests to STUN servers none of which has answered yet.
        pause: between two codes, at least: an unstable network must not fill the screen.
    """

    read: Callable[[], Mapping[str, str]] = own_addresses
    poll: float = 2.0
    ask: float = 15.0
    pause: float = 10.0


WATCH: Final = Watch()
"The watch of every run; tests use shorter ones."


class _Steady:
    """The addresses of this machine; a change counts when it was read twice."""

    def __init__(self, read: Callable[[], Mapping[str, str]]) -> None:
        self._read = read
        self.own = self._seen = read()

    def changed(self) -> bool:
        """Read them again; return whether `own` has changed."""
        before, self._seen = self._seen, self._read()
        if list(before) != list(self._seen) or list(before) == list(self.own):
            return False
        self.own = self._seen
        return True


class Publication(Generic[Peer]):
    """The codes and notes of one listener, from its first code to the first connection."""

    def __init__(
        self,
        settings: Settings,
        emit: Emit,
        role: str,
        page: Hosting,
        listener: Listener[Peer],
        secret: bytes,
        certificate: Certificate,
        watch: Watch = WATCH,
    ) -> None:
        """Take the parts of a code; `publish` emits it.

        Args:
            settings: addresses, servers, expiry.
            emit: gets the codes and the notes.
            role: of this side, as in `CodeReady`.
            page: makes the links.
            listener: has the port and the public addresses.
            secret: of the code.
            certificate: for the fingerprint in the code.
            watch: how changed addresses are looked for.
        """
        self._settings = settings
        self._emit = emit
        self._role = role
        self._page = page
        self._listener = listener
        self._secret = secret
        self._certificate = certificate
        self._watch = watch
        self._chosen = [canonical(address) for address in settings.addresses]
        self._expires = 0.0
        self._shown: tuple[Address, ...] = ()
        self._steady = _Steady(watch.read)
        self._alone = False
        "Whether this machine is in no network."

    async def publish(self) -> None:
        """Emit the code.

        Raises:
            ConnectionFailed: this machine has no address.
            UsageError: no address can be in a link to the page.
        """
        addresses = await self._addresses()
        if not addresses:
            raise ConnectionFailed(
                "this machine has no network address", "connect it, or name one with --address"
            )
        self._expires = time.time() + self._settings.expires
        self._show(addresses)
        self._alone = not self._chosen and all(is_loopback(a.host) for a in addresses)
        if self._alone:
            self._note(
                "this machine is in no network; the code works on this machine only",
                "a new code is shown when there is a network",
            )
            return
        for problem in self._listener.mapped.problems:
            self._emit(Warned("server", problem.message, problem.hint))

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watch the addresses while the body waits for the other side.

        Not if the user has chosen the addresses.
        """
        watching = asyncio.create_task(self._follow_changes())
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait({watching})
            if not watching.cancelled():
                watching.result()

    async def _follow_changes(self) -> None:
        clock = asyncio.get_running_loop().time
        mapped = self._listener.mapped
        asked = clock()
        while not self._chosen:
            await asyncio.sleep(self._watch.poll)
            # A network may block everything before the user has signed in, or was down.
            is_due = clock() - asked >= self._watch.ask
            again = is_due and mapped.is_silent and not self._alone
            if not self._steady.changed() and not mapped.moved and not again:
                continue
            asked = clock()
            try:
                renewed = await self._follow()
            except DcsendError as exc:
                self._note(f"the code could not be renewed: {exc.message}", exc.hint)
                continue
            if renewed:
                await asyncio.sleep(self._watch.pause)

    async def _follow(self) -> bool:
        """Process changed addresses; return whether there is a new code."""
        was_alone = self._alone
        self._alone = all(is_loopback(host) for host in self._steady.own)
        if self._alone:
            if not was_alone:
                self._note(
                    "this machine is in no network any more",
                    "the code works again when its addresses return; otherwise a new one is shown",
                )
            return False
        before = set(self._shown)
        addresses = await self._addresses()
        lost = {a for a in before.difference(addresses) if a.port == self._listener.port.port}
        if not lost and before.issuperset(addresses):
            if was_alone:
                self._note("this machine is in its network again, and the code works")
            return False
        if was_alone:
            self._note("this machine is in a network now; a new code has its addresses")
        elif before.issubset(addresses) and all(map(self._is_public, set(addresses) - before)):
            self._note(
                "the public address of this machine is known now; a new code has it",
                "the earlier code still works",
            )
        else:
            self._note(
                "the addresses of this machine have changed; a new code has the new ones",
                "the earlier code works where its addresses still reach this machine",
            )
        self._show(addresses)
        return True

    async def _addresses(self) -> tuple[Address, ...]:
        """Return the addresses for the code, best first, as many as it can hold."""
        mapped = await self._listener.mapped.query(self._settings.stun_timeout)
        return chosen_addresses(
            self._chosen, list(self._steady.own), mapped, self._listener.port.port
        )

    def _is_public(self, address: Address) -> bool:
        """Return whether an address of the code comes from a STUN server only."""
        return address.host not in self._steady.own

    def _show(self, addresses: tuple[Address, ...]) -> None:
        code = DialCode(
            self._secret,
            self._certificate.fingerprint,
            self._listener.port.port,
            addresses,
            min(int(self._expires), MAX_TIME),
        )
        when = datetime.datetime.fromtimestamp(self._expires, tz=datetime.UTC).astimezone()
        links = self._page.links(code, self._steady.own)
        self._shown = addresses
        logger.debug("addresses in the code: %s", [(one.host, one.port) for one in addresses])
        times = self._settings.peers
        self._emit(CodeReady(code.text(), links[0].url, when, self._role, links, times=times))
        if not self._chosen and (note := _about_default(self._steady.own)):
            self._note(*note)

    def _note(self, message: str, hint: str = "") -> None:
        self._emit(Warned("network", message, hint))


class ChangeNotes:
    """Notes, once, that addresses changed after this side's session description was made.

    A context manager that can be entered several times, while a person is awaited.
    """

    def __init__(self, emit: Emit, watch: Watch = WATCH) -> None:
        self._emit = emit
        self._poll = watch.poll
        self._steady = _Steady(watch.read)
        self._noted = False
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self._watching = asyncio.create_task(self._watch())

    async def __aexit__(self, *exc: object) -> None:
        assert self._watching is not None
        self._watching.cancel()
        await asyncio.wait({self._watching})
        if not self._watching.cancelled():
            self._watching.result()

    async def _watch(self) -> None:
        while not self._noted:
            await asyncio.sleep(self._poll)
            self._noted = self._steady.changed()
            if self._noted:
                self._emit(
                    Warned(
                        "network",
                        "the addresses of this machine have changed since its code was made",
                        "if the two sides do not connect, start again on both",
                    )
                )


def chosen_addresses(
    chosen: Sequence[str], own: Sequence[str], mapped: Sequence[tuple[str, int]], port: int
) -> tuple[Address, ...]:
    """Return the addresses for the code, best first, as many as it can hold.

    Args:
        chosen: by the user; if there are any, they replace all others.
        own: addresses of this machine, best first.
        mapped: as STUN servers report them.
        port: of this side.
    """
    if chosen:
        return tuple(dict.fromkeys(Address(host, port) for host in chosen))
    local = [Address(host, port) for host in own]
    public = []
    for host, public_port in mapped:
        with contextlib.suppress(UsageError):  # a server can send anything
            public.append(Address(host, public_port))
    # The public one is second: with a NAT that keeps the port it is one of the plain kind, of which
    # the code holds three, and it must not be left out.
    return select_addresses(port, [*local[:1], *public, *local[1:]])


def canonical(address: str) -> str:
    """Return an IP address in its canonical spelling.

    Raises:
        UsageError: it is not an address.
    """
    try:
        return str(ipaddress.ip_address(address.strip().strip("[]")))
    except ValueError:
        raise UsageError(
            f"{address!r} is not an IP address", "write --address 192.168.1.7 or 2001:db8::7"
        ) from None


def _about_default(own: Mapping[str, str]) -> tuple[str, str] | None:
    """Return a note and a hint if the first address is not in a network with other devices.

    >>> _about_default({"10.8.0.2": "tun0", "192.168.1.7": "wlan0"})[0]
    'the first address in the code, 10.8.0.2, is that of a VPN (tun0)'
    """
    first, name = next(iter(own.items()), ("", ""))
    if not (kind := side_network(name)):
        return None
    others = [host for host, other in own.items() if not side_network(other)]
    return (
        f"the first address in the code, {first}, is that of {kind} ({printable(name)})",
        f"devices outside it use {others[0]}"
        if others
        else "devices outside it can't reach it; --address IP names another one",
    )


def failed_dials(emit: Emit) -> Callable[[DcsendError], None]:
    """Return a function that reports failed dials: the first ones each, then one last line."""
    count = 0

    def report(error: DcsendError) -> None:
        nonlocal count
        count += 1
        if count <= _MAX_FAILED:
            emit(Warned(error.kind, error.message, error.hint))
        elif count == _MAX_FAILED + 1:
            emit(Warned(error.kind, "more devices with the code fail; they are not reported"))

    return report
