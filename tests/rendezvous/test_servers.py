"""Which text names which rendezvous server, and which names none."""

from __future__ import annotations

import pytest

from dcsend.errors import UsageError
from dcsend.rendezvous.servers import DEFAULT, PUBLIC, Server, local_server, read_option, server_at


@pytest.mark.parametrize(
    ("text", "url", "name"),
    [
        ("example.org", "wss://example.org/v1", "example.org"),
        (" Example.ORG ", "wss://example.org/v1", "example.org"),
        ("example.org:8443", "wss://example.org:8443/v1", "example.org:8443"),
        ("example.org:443/v1", "wss://example.org/v1", "example.org"),
        ("example.org/mail/box", "wss://example.org/mail/box", "example.org/mail/box"),
        ("192.0.2.7", "wss://192.0.2.7/v1", "192.0.2.7"),
        ("[2001:DB8::7]", "wss://[2001:db8::7]/v1", "[2001:db8::7]"),
        ("bücher.example", "wss://xn--bcher-kva.example/v1", "xn--bcher-kva.example"),
        ("wss://example.org", "wss://example.org/v1", "example.org"),
        ("WSS://example.org/", "wss://example.org/v1", "example.org"),
        ("ws://localhost:4000", "ws://localhost:4000/v1", "ws://localhost:4000/v1"),
        ("wss://public./v1", "wss://public./v1", "public."),
        ("public", PUBLIC.url, "public"),
        (PUBLIC.url, PUBLIC.url, "public"),
    ],
)
def test_option_names_a_server_by_url_or_host(text: str, url: str, name: str) -> None:
    server = read_option(text)
    assert server is not None
    assert (server.url, server.name) == (url, name)


@pytest.mark.parametrize("text", ["none", "NONE", " none "])
def test_none_is_no_server(text: str) -> None:
    assert read_option(text) is None


def test_no_server_is_used_by_default() -> None:
    assert DEFAULT == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "host is not a name"),
        ("wss://", "host is not a name"),
        ("..", "host is not a name"),
        ("-a.example", "host is not a name"),
        ("a..example", "host is not a name"),
        ("a" * 64 + ".example", "host is not a name"),
        ("https://example.org/v1", r"https:// is not wss://"),
        ("file:///etc/passwd", r"file:// is not wss://"),
        ("wss://me@example.org", "more than a host, a port and a path"),
        ("example.org?x", "more than a host, a port and a path"),
        ("wss://example.org/v1#", "more than a host, a port and a path"),
        ("wss://example.org\\evil", "more than a host, a port and a path"),
        ("example.org:0", "port is not a number"),
        ("example.org:", "port is not a number"),
        ("example.org:65536", "not a URL"),
        ("[::1", "not a URL"),
        ("[fe80::7%25eth0]", "a scope has no meaning"),
        ("[12]", "not a URL|host is not"),
        ("example.org/é", "its path has other characters"),
        ("exam ple.org", "a space or an invisible character"),
        ("example.org\n.evil", "a space or an invisible character"),
        ("example\u200b.org", "a space or an invisible character"),
        ("publ\ufe0fic", "a space or an invisible character"),
        ("wss://public/v1", "public has a meaning of its own"),
        ("wss://none", "none has a meaning of its own"),
        ("x" * 400, "longer than 300"),
    ],
)
def test_text_that_names_no_server_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        read_option(text)
    assert caught.value.message.isprintable()
    assert "wss://HOST/v1" in caught.value.hint


@pytest.mark.parametrize("host", ["ws://example.org", "wss://example.org", "http://example.org"])
def test_code_names_no_url(host: str) -> None:
    with pytest.raises(UsageError, match="by its host alone"):
        server_at(host)


@pytest.mark.parametrize(
    "text", ["example.org:8443", "example.org/mail", "[2001:db8::7]", "public"]
)
def test_name_in_a_code_leads_to_the_same_server(text: str) -> None:
    server = server_at(text)
    assert server.fits_in_code
    assert server_at(server.name) == server


def test_server_without_tls_fits_in_no_code() -> None:
    server = read_option("ws://localhost:4000/v1")
    assert server is not None
    assert not server.fits_in_code


@pytest.mark.parametrize("url", ["wss://example.org./v1", "wss://example.org/a(b", "wss://h/a//b"])
def test_server_that_is_not_in_the_form_of_codes_fits_in_no_code(url: str) -> None:
    server = read_option(url)
    assert server is not None
    assert not server.fits_in_code


def test_mailbox_in_this_network_is_reached_at_its_addresses() -> None:
    server = local_server(["192.168.1.7", "fe80::7%eth0"], 4000)
    assert server.url.endswith(":4000/v1")
    assert server.hosts == ("192.168.1.7", "fe80::7%eth0")
    assert not server.fits_in_code


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("wss://127.0.0.1:4000/v1", True),
        ("wss://192.168.1.7/v1", True),
        ("wss://[fd00::7]:4000/v1", True),
        ("wss://localhost/v1", True),
        ("wss://nas:4000/v1", True),
        ("wss://mailbox.example/v1", False),
        ("wss://8.8.8.8/v1", False),
    ],
)
def test_host_is_private_if_it_is_in_this_network(url: str, expected: bool) -> None:
    assert Server(url, "s.example").is_private is expected
