"""The listening sockets of the page."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from dcsend.errors import UsageError
from dcsend.serving.port import blocked_port, listen


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_limit_of_open_files_is_named() -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        with pytest.raises(UsageError, match="too many open files"):
            listen()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize(
    ("port", "served", "refused"),
    [
        *((1, False, True), (1023, False, True), (1024, True, False), (0, True, False)),
        *((6000, True, True), (6000, False, False), (10080, True, True), (65535, True, False)),
    ],
)
def test_ports_that_browsers_refuse_are_known(port: int, served: bool, refused: bool) -> None:
    assert bool(blocked_port(port, served=served)) == refused


def test_port_that_is_taken_is_named() -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"TCP port {port}: in use") as caught:
            listen(port)
    assert "--no-page" in caught.value.hint


def test_port_that_is_taken_for_ipv6_is_left_free_for_ipv4() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"TCP port {port}: in use"):
            listen(port)
        with socket.create_server(("0.0.0.0", port)) as free:
            assert free.getsockname()[1] == port


def test_chosen_port_is_used(unused: int) -> None:
    sockets = listen(unused)
    assert {sock.getsockname()[1] for sock in sockets} == {unused}
    for sock in sockets:
        sock.close()


@pytest.fixture
def unused() -> int:
    """Return a port without a listener."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])
