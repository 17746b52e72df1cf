"""The addresses of a listener, and the selection that goes into one code.

Must not import anything of dcsend but `errors` and `printable`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dcsend.errors import UsageError
from dcsend.printable import printable

__all__ = ["MAX_PER_GROUP", "Address", "grouped", "select_addresses"]

MAX_PER_GROUP: Final = 3
"Addresses of one group; the largest number in two bits."


@dataclass(frozen=True, slots=True)
class Address:
    """A UDP address of a listener, to which packets can be sent.

    Raises:
        UsageError: the host is not an IP address in its canonical spelling, or is
            multicast, broadcast or unspecified, or the port is out of range.
    """

    host: str
    "IPv4 or IPv6 address as `str(ipaddress.ip_address(...))` spells it, without a scope."
    port: int
    "UDP port, 1 to 65535."

    def __post_init__(self) -> None:
        """Raise UsageError for an address that can't be dialled."""
        if fault := _address_fault(self.host, self.port):
            raise UsageError(f"{printable(self.host)} port {self.port}: {fault}")


def select_addresses(port: int, candidates: Iterable[Address]) -> tuple[Address, ...]:
    """Return those of *candidates* that fit into one code with *port*, in their order.

    >>> found = [Address(f"10.0.0.{last}", 5000) for last in (1, 1, 2, 3, 4)]
    >>> [address.host for address in select_addresses(5000, found)]
    ['10.0.0.1', '10.0.0.2', '10.0.0.3']
    """
    groups = grouped(port, dict.fromkeys(candidates))
    return tuple(address for group in groups for address in group[:MAX_PER_GROUP])


def grouped(port: int, addresses: Iterable[Address]) -> tuple[list[Address], ...]:
    """Divide *addresses* into the four groups of the layout, keeping their order in each."""
    groups: tuple[list[Address], ...] = ([], [], [], [])
    for address in addresses:
        groups[(":" in address.host) + 2 * (address.port != port)].append(address)
    return groups


def _address_fault(host: str, port: int) -> str:
    """Return why no packet can be sent to this address, or an empty string."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "not an IP address"
    if not 1 <= port <= 0xFFFF:
        return "the port is not in the range 1 to 65535"
    if address.is_unspecified or address.is_multicast or host == "255.255.255.255":
        return "not a unicast address"
    if "%" in host:
        return "an address with a scope is not valid on another computer"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        # Python 3.13 changed the canonical spelling of these.
        return "an IPv4-mapped IPv6 address"
    return "" if host == str(address) else f"its canonical spelling is {address}"
