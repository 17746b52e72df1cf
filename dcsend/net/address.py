"""Addresses of UDP sockets, and their address family."""

from __future__ import annotations

import socket

__all__ = ["Address", "family", "is_ipv6"]

Address = tuple[str, int]
"IP address and port. An IPv6 address has no scope; its flow label is left out."


def is_ipv6(host: str) -> bool:
    """Return whether an IP address, which is assumed to be valid, is an IPv6 address."""
    return ":" in host


def family(host: str) -> socket.AddressFamily:
    """Return the address family of an IP address, which is assumed to be valid."""
    return socket.AF_INET6 if is_ipv6(host) else socket.AF_INET
