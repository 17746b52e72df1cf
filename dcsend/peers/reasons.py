"""The message and the hint for each situation in which two sides do not connect.

docs/connecting.md has the same table; a test compares the two. No input, output or clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from dcsend.errors import ConnectionFailed
from dcsend.peers.situations import (
    IP,
    RULES,
    Facts,
    NatMapping,
    Network,
    Role,
    Situation,
    Udp,
)

__all__ = ["TABLE", "Reason", "error", "question", "situation", "words"]

_TWO: Final = "use two codes: --signal sdp on both sides"
_RELAY: Final = "--ice-server turn:USER:PASSWORD@HOST"
_TLS: Final = "--ice-server turns:USER:PASSWORD@HOST:443"
"Firewalls rarely block TCP port 443."


_NOT_ENDED: Final = (
    Situation.NO_NETWORK,
    Situation.NO_FAMILY,
    Situation.NO_ROUTE,
    Situation.CHECKS_ARRIVE,
)
"Situations of a dialer that do not suggest that the program there has ended."
_ENDED: Final = (Situation.THIS_MACHINE, Situation.PORT_CLOSED)
"Situations whose hints state that the program there has ended."


class Reason(NamedTuple):
    """Message and hint of one situation; `{hosts}` and others are replaced by facts."""

    message: str
    hint: str


_SYMMETRIC: Final = f"if a NAT is symmetric, a relay may be needed: {_RELAY}"
_OPEN_PORT: Final = "open UDP port {port} in the firewall there"
_WAITED: Final = "no check has arrived for 60 s"
_MAPPINGS: Final[Mapping[NatMapping, str]] = {
    NatMapping.UNKNOWN: "",
    NatMapping.NONE: "no NAT",
    NatMapping.ENDPOINT_INDEPENDENT: "NAT that is not symmetric",
    NatMapping.ADDRESS_DEPENDENT: "symmetric NAT",
}
_TRIED: Final = "tried from here: {from_here}; from there: {from_there}"

TABLE: Final[Mapping[tuple[Role, Situation], Reason]] = {
    # One code. Known before anything is sent:
    (Role.DIALER, Situation.NO_NETWORK): Reason(
        "this machine has no network address",
        "connect it to the network that the other side is in, and run it again",
    ),
    (Role.DIALER, Situation.NO_FAMILY): Reason(
        "the code has {theirs} addresses only, and this machine {ours} addresses only",
        "give this machine an {theirs} address, or use two codes, and a relay on the side "
        f"with IPv6 only: --signal sdp {_RELAY}",
    ),
    (Role.DIALER, Situation.NO_ROUTE): Reason(
        "this machine has no route to {hosts}",
        "connect it to the network that the other side is in, and run it again",
    ),
    # After the time to connect:
    (Role.DIALER, Situation.CHECKS_ARRIVE): Reason(
        "the other side answers, but the connection failed",
        "run it again; ask for a new code if the other side has ended",
    ),
    (Role.DIALER, Situation.THIS_MACHINE): Reason(
        "no answer from {hosts}, which is this machine itself",
        "the program that printed the code has probably ended; if the code is from another "
        "machine, connect that one to a network and make a new code",
    ),
    (Role.DIALER, Situation.PORT_CLOSED): Reason(
        "{host} can be reached, but its UDP port {port} is closed",
        "the program there has probably ended: ask for a new code",
    ),
    (Role.DIALER, Situation.SAME_NETWORK): Reason(
        "no answer from {host}, although it is in the network of this machine",
        f"{_OPEN_PORT}, or make the code on this side, or {_TWO}; "
        "if the Wi-Fi isolates its devices, use another network",
    ),
    (Role.DIALER, Situation.SAME_ADDRESSES): Reason(
        "no answer from {host}: the two sides have different public addresses, so there is a VPN "
        "at one of them, or they are in two networks that use the same private addresses",
        f"end the VPN or exclude the local network from it, or {_TWO}",
    ),
    (Role.DIALER, Situation.SAME_NAT): Reason(
        "no answer from {hosts}: both sides have the public address {public}, "
        "which can't be reached from behind it",
        "connect both to one network, not to a guest network, or use two codes and a relay: "
        f"--signal sdp {_RELAY}",
    ),
    (Role.DIALER, Situation.UDP_BLOCKED): Reason(
        "this network blocks UDP: no STUN server answers, but TCP works",
        f"use another network, or two codes and a relay over TLS: --signal sdp {_TLS}",
    ),
    (Role.DIALER, Situation.STUN_SILENT): Reason(
        "no answer from {hosts}, and none from the STUN server {server}",
        "if UDP is blocked in this network, use two codes and a relay over TLS: "
        f"--signal sdp {_TLS}",
    ),
    (Role.DIALER, Situation.NO_INTERNET): Reason(
        "no answer from {hosts}, and this machine reaches no STUN server, neither by UDP nor TCP",
        "connect it to the internet, or to the network that the other side is in",
    ),
    (Role.DIALER, Situation.SYMMETRIC): Reason(
        "no answer from {hosts}: a NAT or firewall there blocks incoming packets, and the NAT "
        "of this network is symmetric",
        f"use two codes and a relay: --signal sdp {_RELAY}",
    ),
    (Role.DIALER, Situation.OPEN_HERE): Reason(
        "no answer from {hosts}: a NAT or firewall there blocks incoming packets",
        f"make the code on this side, which is not behind a NAT, or {_TWO}",
    ),
    (Role.DIALER, Situation.NAT): Reason(
        "no answer from {hosts}: a NAT or firewall there blocks incoming packets",
        f"{_TWO}; or forward a UDP port there",
    ),
    (Role.DIALER, Situation.FIREWALL): Reason(
        "no answer from {hosts}: a firewall there blocks incoming packets, or the program has "
        "ended",
        f"{_OPEN_PORT}, or {_TWO}",
    ),
    (Role.DIALER, Situation.PRIVATE): Reason(
        "no answer from {hosts}: the code has private addresses of another network only",
        f"connect both to one network, or {_TWO}; "
        f"if UDP is blocked there, with a relay over TLS: {_TLS}",
    ),
    # Two codes. Known when the answer is pasted:
    (Role.OFFERER, Situation.NO_NETWORK): Reason(
        "this machine has no network address", "connect it to a network, and start again"
    ),
    (Role.OFFERER, Situation.NO_FAMILY): Reason(
        "the other side has {theirs} addresses only, and this machine {ours} addresses only",
        f"start again with a relay on the side with IPv6 only: {_RELAY}",
    ),
    (Role.OFFERER, Situation.NO_ROUTE): Reason(
        "this machine has no route to {hosts}",
        f"connect both to one network, or start again with a relay: {_RELAY}",
    ),
    # After the time to connect:
    (Role.OFFERER, Situation.CHECKS_ARRIVE): Reason(
        "the other side answers, but the connection failed",
        f"start again on both sides; if it happens again, with a relay: {_RELAY}",
    ),
    (Role.OFFERER, Situation.THIS_MACHINE): Reason(
        "no answer from {hosts}, which is this machine itself",
        "if the other side has ended, start again on both sides",
    ),
    (Role.OFFERER, Situation.RELAY_SILENT): Reason(
        "no answer from {hosts}, directly or through the relay",
        "if the other side has ended, start again on both sides",
    ),
    (Role.OFFERER, Situation.SAME_NETWORK): Reason(
        "no answer from {host}, although it is in the network of this machine",
        f"that network isolates its devices: use another one, or a relay: {_RELAY}",
    ),
    (Role.OFFERER, Situation.SAME_ADDRESSES): Reason(
        "no answer from {host}: the two sides have different public addresses, so there is a VPN "
        "at one of them, or they are in two networks that use the same private addresses",
        f"end the VPN, or use a relay: {_RELAY}",
    ),
    (Role.OFFERER, Situation.SAME_NAT): Reason(
        "no answer from {hosts}: both sides have the public address {public}, "
        "which can't be reached from behind it",
        f"connect both to one network, not to a guest network, or use a relay: {_RELAY}",
    ),
    (Role.OFFERER, Situation.UDP_BLOCKED): Reason(
        "this network blocks UDP: no STUN server answers, but TCP works",
        f"use another network, or a relay over TLS: {_TLS}",
    ),
    (Role.OFFERER, Situation.STUN_SILENT): Reason(
        "no answer from {hosts}, and none from the STUN server {server}",
        f"if UDP is blocked in this network, use a relay over TLS: {_TLS}",
    ),
    (Role.OFFERER, Situation.NO_INTERNET): Reason(
        "no answer from {hosts}, and this machine reaches no STUN server, neither by UDP nor TCP",
        "connect it to the internet, or to the network that the other side is in",
    ),
    (Role.OFFERER, Situation.SYMMETRIC): Reason(
        "no answer from {hosts}: the NAT of this network is symmetric",
        f"a relay is needed: {_RELAY}",
    ),
    (Role.OFFERER, Situation.PRIVATE): Reason(
        "no answer from {hosts}: the other side has private addresses of another network only",
        f"if UDP is blocked there, it needs a relay over TLS: {_TLS}",
    ),
    (Role.OFFERER, Situation.UNKNOWN): Reason(
        "no answer from {hosts}",
        f"check that the other side still waits; {_SYMMETRIC}",
    ),
    (Role.ANSWERER, Situation.CHECKS_ARRIVE): Reason(
        "the other side answers, but the connection failed",
        f"start again on both sides; if it happens again, with a relay: {_RELAY}",
    ),
    # Short codes; either side. Known when the candidates of both sides are complete:
    (Role.SHORT_CODE, Situation.NO_NETWORK): Reason(
        "this machine has no network address", "connect it to a network, and use a new code"
    ),
    (Role.SHORT_CODE, Situation.NO_FAMILY): Reason(
        "the other side has {theirs} addresses only, and this machine {ours} addresses only",
        f"use a new code, and a relay on the side with IPv6 only: {_RELAY}",
    ),
    (Role.SHORT_CODE, Situation.NO_ROUTE): Reason(
        "this machine has no route to {hosts}",
        f"connect both to one network, or use a new code and a relay: {_RELAY}",
    ),
    # 15 s later:
    (Role.SHORT_CODE, Situation.CHECKS_ARRIVE): Reason(
        f"the other side answers, but the connection failed ({_TRIED})",
        f"use a new code; if it happens again, with a relay: {_RELAY}",
    ),
    (Role.SHORT_CODE, Situation.UDP_BLOCKED_THERE): Reason(
        f"the network of the other side blocks UDP ({_TRIED})",
        f"use another network there, or a relay over TLS there: {_TLS}",
    ),
    (Role.SHORT_CODE, Situation.THIS_MACHINE): Reason(
        "no answer from {hosts}, which is this machine itself",
        "if the other side has ended, use a new code",
    ),
    (Role.SHORT_CODE, Situation.RELAY_SILENT): Reason(
        f"no answer from the other side, directly or through the relay ({_TRIED})",
        "if the other side has ended, use a new code",
    ),
    (Role.SHORT_CODE, Situation.SAME_NETWORK): Reason(
        f"no answer from {{host}}, although it is in the network of this machine ({_TRIED})",
        f"that network isolates its devices: use another one, or a relay: {_RELAY}",
    ),
    (Role.SHORT_CODE, Situation.SAME_ADDRESSES): Reason(
        "no answer from {host}: the two sides have different public addresses, so there is a VPN "
        "at one of them, or they are in two networks that use the same private addresses "
        f"({_TRIED})",
        f"end the VPN, or use a relay: {_RELAY}",
    ),
    (Role.SHORT_CODE, Situation.SAME_NAT): Reason(
        "no path to the other side: both sides have the public address {public}, which can't be "
        f"reached from behind it ({_TRIED})",
        f"connect both to one network, not to a guest network, or use a relay: {_RELAY}",
    ),
    (Role.SHORT_CODE, Situation.UDP_BLOCKED): Reason(
        f"this network blocks UDP: no STUN server answers, but TCP works ({_TRIED})",
        f"use another network, or a relay over TLS: {_TLS}",
    ),
    (Role.SHORT_CODE, Situation.STUN_SILENT): Reason(
        f"no path to the other side, and no answer from the STUN server {{server}} ({_TRIED})",
        f"if UDP is blocked in this network, use a relay over TLS: {_TLS}",
    ),
    (Role.SHORT_CODE, Situation.NO_INTERNET): Reason(
        "no path to the other side, and this machine reaches no STUN server, neither by UDP nor "
        f"TCP ({_TRIED})",
        "connect both sides to the internet, or both to one network",
    ),
    (Role.SHORT_CODE, Situation.PRIVATE): Reason(
        "no path to the other side, which has private addresses of another network only "
        f"({_TRIED})",
        f"if UDP is blocked there, it needs a relay over TLS: {_TLS}",
    ),
    (Role.SHORT_CODE, Situation.SYMMETRIC): Reason(
        f"no path to the other side: the NAT of this network is symmetric ({_TRIED})",
        f"a relay is needed, on one of the two sides: {_RELAY}",
    ),
    (Role.SHORT_CODE, Situation.SYMMETRIC_THERE): Reason(
        f"no path to the other side: the NAT there is symmetric ({_TRIED})",
        f"a relay is needed, on one of the two sides: {_RELAY}",
    ),
    (Role.SHORT_CODE, Situation.UNKNOWN): Reason(
        f"no path to the other side ({_TRIED})",
        "check that the other side still runs; between two strict NATs a relay is needed: "
        f"{_RELAY}",
    ),
    # The side that waits: notes, which do not end the run. At once:
    (Role.LISTENER, Situation.NAT_HERE): Reason(
        "from outside this network, use --signal sdp on both sides, or make the code on the "
        "other side",
        "",
    ),
    (Role.ANSWERER, Situation.NO_FAMILY): Reason(
        "the other side has {theirs} addresses only, and this machine {ours} addresses only",
        f"start again with a relay on the side with IPv6 only: {_RELAY}",
    ),
    # After 60 s without a check:
    (Role.LISTENER, Situation.NO_CHECK_STUN): Reason(
        f"{_WAITED}, and no STUN server answered",
        "in this network, open UDP port {port} in the firewall of this machine; from outside, if "
        f"UDP is blocked here, use two codes and a relay over TLS: --signal sdp {_TLS}",
    ),
    (Role.LISTENER, Situation.NO_CHECK_NAT): Reason(
        f"{_WAITED}; this machine is behind a NAT",
        f"from outside this network, {_TWO}; inside it, open UDP port {{port}} in the firewall "
        "of this machine (--port N keeps the number)",
    ),
    (Role.LISTENER, Situation.NO_CHECK): Reason(
        _WAITED,
        "if the other side has tried: open UDP port {port} in the firewall (--port N keeps the "
        f"number), or {_TWO}",
    ),
    (Role.ANSWERER, Situation.NO_CHECK_STUN): Reason(
        f"{_WAITED}, and no STUN server answered",
        "check that the code shown here was pasted on the other side; if UDP is blocked here, "
        f"start again with a relay over TLS: {_TLS}",
    ),
    (Role.ANSWERER, Situation.NO_CHECK): Reason(
        _WAITED,
        f"check that the code shown here was pasted on the other side; {_SYMMETRIC}",
    ),
}
"""Every situation with a message: a `ConnectionFailed` (status 5) on a side that connects, a note
on a side that waits."""


def situation(facts: Facts) -> Situation:
    """Return the situation of a side that has not connected in time."""
    return next(s for s, applies in RULES if (facts.role, s) in TABLE and applies(facts))


def words(facts: Facts, which: Situation) -> Reason:
    """Return message and hint of a situation, with the facts."""
    reason = TABLE[facts.role, which]
    hosts = [place.host for place in facts.theirs]
    # The ICMP message of a router about its own address does not concern the host behind it.
    closed = facts.closed_exactly if which is Situation.PORT_CLOSED else []
    first = closed or list(map(str, facts.near)) or hosts
    values = {
        "hosts": ", ".join(hosts) or "anywhere",
        "host": first[0] if first else "",
        "port": next((p.port for p in facts.theirs if p.host == first[0]), 0) if first else 0,
        "public": facts.shared,
        "theirs": _families(facts.hosts),
        "ours": _families(interface.ip for interface in facts.own),
        "server": ", ".join(facts.servers),
        "from_here": _tried(
            len({str(one.ip) for one in facts.own} | {host for host, _ in facts.mapped}),
            facts.relay,
            facts.network,
        ),
        "from_there": _tried(
            sum(not place.relayed for place in facts.theirs),
            any(place.relayed for place in facts.theirs),
            facts.there,
        ),
    }
    return Reason(reason.message.format_map(values), reason.hint.format_map(values))


def error(facts: Facts, which: Situation) -> ConnectionFailed:
    """Return the error of a situation."""
    message, hint = words(facts, which)
    return ConnectionFailed(message, hint + question(facts.role, which))


def question(role: Role, which: Situation) -> str:
    """Return the end of the hint if the run of the other side may have ended."""
    if role is not Role.DIALER or which in _NOT_ENDED:
        return ""
    if which in _ENDED:
        return "; or use a new code, if another device has used this one"
    return (
        "; or use the new code there, if the program there has ended or another device has used "
        "this one"
    )


def _tried(addresses: int, relay: bool, network: Network) -> str:
    """Return what one side has tried, and how its network behaves.

    >>> _tried(2, True, Network(NatMapping.ADDRESS_DEPENDENT, Udp.WORKS))
    '2 addresses and a relay, symmetric NAT'
    >>> _tried(1, False, Network(udp=Udp.BLOCKED))
    '1 address, UDP blocked'
    """
    tried = f"{addresses} address{'es' * (addresses != 1)}{' and a relay' * relay}"
    found = (tried, _MAPPINGS[network.mapping], "UDP blocked" * (network.udp is Udp.BLOCKED))
    return ", ".join(filter(None, found))


def _families(addresses: Iterable[IP]) -> str:
    return " and ".join(f"IPv{version}" for version in sorted({ip.version for ip in addresses}))
