"""Addresses at TURN servers, and what is said where there is none: coturn on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aioice.stun
import pytest

from dcsend.errors import ConnectionFailed
from dcsend.ice.relay import allocate
from dcsend.ice.turn_server import TurnServer, parse_turn
from dcsend.net.address import Address
from dcsend.net.resolving import Resolve, resolve
from tests.support.coturn import Coturn, rest_account
from tests.support.junk import JUNK, attribute, stun
from tests.support.load import Stopwatch
from tests.support.peers import LOCAL, Relay, unresolved, until


class Nothing(asyncio.DatagramProtocol):
    """Uses a relayed address for nothing."""

    def __init__(self) -> None:
        self.lost = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102
        self.lost.set_result(exc)


async def relayed(uri: str, resolve: Resolve = resolve) -> str:
    """Return the host of an address that the server gave; give it back."""
    transport, protocol = await allocate(parse_turn(uri), Nothing, resolve=resolve)
    host = str(transport.get_extra_info("sockname")[0])
    transport.close()
    await asyncio.wait_for(protocol.lost, 10)
    return host


async def refused(uri: str, seconds: float = 2.0, resolve: Resolve = resolve) -> ConnectionFailed:
    """Return why the server gives no address, within so many seconds."""
    watch = Stopwatch()
    with pytest.raises(ConnectionFailed) as caught:
        await allocate(parse_turn(uri), Nothing, resolve=resolve)
    watch.assert_within(seconds)
    said = f"{caught.value.message} {caught.value.hint}"
    assert "Errno" not in said
    assert "[SSL" not in said
    assert "secret" not in said
    return caught.value


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_relay_gives_an_address(coturn: Coturn, transport: str) -> None:
    server = f"turn:user:password@{coturn.host}:{coturn.port}?transport={transport}"
    assert await relayed(server) == coturn.host


async def test_temporary_account_is_named_as_it_was_given(coturn: Coturn) -> None:
    user, password = rest_account("me@example.org")
    assert user.count(":") == 1
    server = f"turn:{user}:{password}@{coturn.host}:{coturn.rest_port}"
    assert await relayed(server) == coturn.host


async def test_relay_over_tls_is_trusted_with_a_private_authority(
    coturn: Coturn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(coturn.authority))
    assert await relayed(f"turns:user:password@localhost:{coturn.tls_port}") == coturn.host


async def test_private_authority_is_named_with_the_way_to_trust_it(coturn: Coturn) -> None:
    error = await refused(f"turns:user:secret@localhost:{coturn.tls_port}")
    assert (
        "certificate of the TURN server localhost is not signed by a trusted authority"
        in error.message
    )
    assert "SSL_CERT_FILE" in error.hint


async def test_certificate_of_another_name_is_named(
    coturn: Coturn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(coturn.authority))
    error = await refused(f"turns:user:secret@127.0.0.2:{coturn.tls_port}")
    # coturn listens on 127.0.0.1 alone; a name that leads there and is not in the certificate.
    assert "does not listen" in error.message
    error = await refused(
        f"turns:user:secret@turn.example.org:{coturn.tls_port}",
        resolve=lambda server: _found(("127.0.0.1", coturn.tls_port)),
    )
    assert error.message == "the certificate of the TURN server turn.example.org has another name"


async def _found(*addresses: Address) -> list[Address]:
    return list(addresses)


async def test_port_without_tls_is_named() -> None:
    async with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as (port, _):
        error = await refused(f"turns:user:secret@127.0.0.1:{port}")
    assert error.message == f"the TURN server 127.0.0.1 does not support TLS on port {port}"


async def test_connection_that_is_closed_counts_at_once() -> None:
    async with answering(b"") as (port, _):
        error = await refused(f"turn:user:secret@127.0.0.1:{port}?transport=tcp")
    assert "closed the connection" in error.message


@asynccontextmanager
async def answering(
    answer: bytes, host: str = "127.0.0.1"
) -> AsyncIterator[tuple[int, list[Address]]]:
    """Run a TCP server that sends one message and closes.

    Yield its port, and a list to which the address is added at which each connection arrives.
    """
    arrivals: list[Address] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrivals.append(writer.get_extra_info("sockname"))
        await reader.read(1)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, host, 0)
    async with server:
        yield server.sockets[0].getsockname()[1], arrivals


async def test_wrong_password_is_a_matter_of_the_password(coturn: Coturn) -> None:
    error = await refused(f"turn:user:secret@{coturn.host}:{coturn.port}")
    assert error.message == "the TURN server 127.0.0.1 refuses this user or password (401)"
    assert "password" in error.hint


async def test_expired_account_is_named(coturn: Coturn) -> None:
    user, password = rest_account(seconds=-60)
    error = await refused(f"turn:{user}:{password}@{coturn.host}:{coturn.rest_port}")
    assert "expired" in error.hint


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_port_where_nothing_listens_is_known_at_once(transport: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    error = await refused(f"turn:user:secret@127.0.0.1:{port}?transport={transport}")
    assert f"does not listen on {transport.upper()} port {port}" in error.message
    assert "user" not in error.hint
    assert "turns:" in error.hint


@pytest.mark.full
async def test_server_that_is_silent_is_given_up_before_the_code_is_late() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        error = await refused(f"turn:user:secret@127.0.0.1:{port}", 4.5)
    assert f"does not answer on UDP port {port}" in error.message
    assert "if UDP is blocked here" in error.hint


async def test_address_that_leads_nowhere_does_not_lose_the_other(coturn: Coturn) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        nowhere = silent.getsockname()
        watch = Stopwatch()
        host = await relayed(
            "turn:user:password@turn.example.org",
            lambda server: _found(nowhere, (coturn.host, coturn.port)),
        )
        assert host == coturn.host
        watch.assert_within(2)


async def test_of_a_name_with_many_addresses_four_are_tried() -> None:
    async with answering(b"", "0.0.0.0") as (port, arrivals):
        places = [(f"127.0.0.{number}", port) for number in range(1, 9)]
        error = await refused(
            "turn:user:secret@turn.example.org?transport=tcp",
            resolve=lambda server: _found(*places),
        )
    assert "closed the connection" in error.message
    assert sorted(arrivals) == places[:4]


@pytest.mark.parametrize(
    ("exists_not", "said"), [(True, "no such name"), (False, "no name server answers")]
)
async def test_name_without_an_address_is_named(exists_not: bool, said: str) -> None:
    resolve = unresolved(exists_not=exists_not)
    error = await refused("turn:user:secret@turn.example.org", resolve=resolve)
    assert said in error.message


@pytest.mark.parametrize(
    ("uri", "user", "password"),
    [
        ("turn:1764400000:me:bm8+b2/l=@turn.example.org", "1764400000:me", "bm8+b2/l="),
        ("turn:1764400000:me@example.org:pw@turn.example.org", "1764400000:me@example.org", "pw"),
        ("turn:1764400000%3Ame:p%3Aw@turn.example.org", "1764400000:me", "p:w"),
        ("turn:me:@turn.example.org", "me", ""),
    ],
)
def test_user_may_have_colons(uri: str, user: str, password: str) -> None:
    server = parse_turn(uri)
    assert (server.user, server.password) == (user, password)
    assert server.address == ("turn.example.org", 3478)


@pytest.mark.full
async def test_end_waits_half_a_second_for_a_server_that_is_gone(coturn: Coturn) -> None:
    """By aioice alone its last request would be repeated for 63 s."""
    async with Relay.open(coturn.port, coturn.host) as between:
        account = TurnServer((LOCAL, between.port), "user", "password")
        transport, protocol = await allocate(account, Nothing)
        requests: list[bytes] = []

        def loses(data: bytes) -> bool:
            requests.append(data)
            return False

        between.passes = loses
        watch = Stopwatch()
        transport.close()
        await protocol.lost
        watch.assert_within(1)
        assert requests


def test_password_is_in_no_representation() -> None:
    assert "secret" not in repr(TurnServer(("192.0.2.1", 3478), "me", "secret"))


@pytest.mark.usefixtures("nothing_raised")
async def test_junk_with_the_address_of_a_relay_is_dropped(
    coturn: Coturn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an error in the loop, nor more parsing than a real answer costs."""
    async with Relay.open(coturn.port, coturn.host) as between:
        account = TurnServer((LOCAL, between.port), "user", "password")
        transport, protocol = await allocate(account, Nothing)
        seen: list[bytes] = []
        parse = aioice.stun.parse_message

        def noting(data: bytes) -> aioice.stun.Message:
            seen.append(data)
            return parse(data)

        monkeypatch.setattr(aioice.stun, "parse_message", noting)
        indication = stun(attribute(0x24, b"\0"), kind=0x0017)
        for data in (
            *JUNK.values(),
            indication,
            stun(attribute(0x8028, bytes(4)) * 100, kind=0x17),
        ):
            between.outer.sendto(data, between.dialer)
        answer = stun(b"", kind=0x0101)
        between.outer.sendto(answer, between.dialer)
        await until(lambda: answer in seen)
        assert not [data for data in seen if data.count(b"\x80\x28\0\4") > 1]
        transport.close()
        await protocol.lost
