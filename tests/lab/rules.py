"""Rules of the routers and firewalls of the laboratory, for nft(8).

Interfaces: `wan` leads to the internet, `lan` and `lan-guests` to the hosts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.lab.topologies import Nat, Site

__all__ = ["HOST_FIREWALL", "PORTS", "SWALLOW", "count", "cut_off", "router", "silence"]

PORTS: Final[Mapping[str, tuple[int, int]]] = {"a": (20000, 29999), "b": (30000, 39999)}
"""The ephemeral ports of each host. The translator of Linux keeps ports, so a rule can exist before
the hosts send."""

_DNS: Final = 53
"Name resolution works in each network: if no packet leaves it, the router forwards queries."

_BLOCKS: Final[Mapping[str, str]] = {
    "": "",
    "udp-drop": f"meta l4proto udp ct original proto-dst != {_DNS} drop",
    "udp-reject": f"meta l4proto udp ct original proto-dst != {_DNS} reject",
    "all-but-443": f"""
        ct state {{ established, related }} accept
        iifname "lan*" tcp dport 443 accept
        iifname "lan*" udp dport {_DNS} accept
        drop""",
}

HOST_FIREWALL: Final = """
table inet host {
  chain in {
    type filter hook input priority 0; policy drop;
    iifname "lo" accept
    ct state { established, related } accept
    meta l4proto { icmp, ipv6-icmp } accept
    ip daddr 224.0.0.0/4 accept
    ip6 daddr ff00::/8 accept
  }
}
"""
"Of a laptop: responses, pings and multicast are accepted."

SWALLOW: Final = """
table inet swallow {
  chain through {
    type filter hook forward priority -20; policy drop;
  }
}
"""
"A router that drops all packets without an error."


def router(site: Site, public: str, hosts: Mapping[str, str]) -> str:
    """Return the rules of a router.

    Args:
        site: its function.
        public: its IPv4 address on the internet.
        hosts: IPv4 addresses of `a` and `b`, if they are behind it.
    """
    accept_new = {"open": 'iifname "wan" meta nfproto ipv4 drop'}.get(
        site.ipv6, 'iifname "wan" drop'
    )
    segments = 'iifname "lan" oifname "lan-guests" drop\niifname "lan-guests" oifname "lan" drop'
    rules = f"""
table inet firewall {{
  chain in {{
    type filter hook input priority 0; policy accept;
    meta l4proto ipv6-icmp accept
    iifname "wan" ct state != {{ established, related }} drop
  }}
  chain through {{
    type filter hook forward priority 0; policy accept;
    meta l4proto ipv6-icmp accept
    {_BLOCKS[site.block]}
    ct state {{ established, related }} accept
    ct status dnat accept
    {segments if site.guests else ""}
    {accept_new}
  }}
}}
"""
    return rules if site.nat in (None, Nat.NONE) else rules + _translator(site, public, hosts)


def _translator(site: Site, public: str, hosts: Mapping[str, str]) -> str:
    """Return the rules that translate addresses."""
    incoming, sets = "", ""
    if site.nat is Nat.ADDRESS:
        # Noted where packets are forwarded: addresses that something was sent to.
        sets = """
  set spoken-to { type ipv4_addr; flags dynamic, timeout; timeout 60s; }
  chain note {
    type filter hook forward priority -10;
    oifname "wan" meta l4proto udp update @spoken-to { ip daddr }
  }
"""
    for host, address in hosts.items():
        low, high = PORTS[host]
        to = f"udp dport {low}-{high} dnat to {address}\n"
        if site.nat is Nat.FULL_CONE:
            incoming += f'iifname "wan" {to}'
        elif site.nat is Nat.ADDRESS:
            incoming += f'iifname "wan" ip saddr @spoken-to {to}'
        if site.hairpin:
            incoming += f'iifname "lan*" ip daddr {public} {to}'
    if site.forwards:
        incoming += f'iifname "wan" udp dport {site.forwards} dnat to {hosts["a"]}\n'
    how = "random,fully-random" if site.nat is Nat.SYMMETRIC else ""
    back = f'iifname "lan*" oifname "lan*" ct status dnat snat to {public}' if site.hairpin else ""
    return f"""
table ip translator {{
  {sets}
  chain before {{
    type nat hook prerouting priority -100;
    {incoming}
  }}
  chain after {{
    type nat hook postrouting priority 100;
    {back}
    oifname "wan" masquerade {how}
  }}
}}
"""


def cut_off(interface: str) -> str:
    """Return the rules of the kill switch of a VPN: drop all packets of *interface*."""
    return f"""
table inet kill {{
  chain out {{
    type filter hook output priority 0;
    oifname "{interface}" drop
  }}
  chain in {{
    type filter hook input priority 0;
    iifname "{interface}" drop
  }}
}}
"""


def count(address: str) -> str:
    """Return the rules that count the packets of a host to *address*, and its mDNS messages."""
    return f"""
table ip watch {{
  chain out {{
    type filter hook output priority 0;
    ip daddr {{ {address}, 224.0.0.251 }} counter
  }}
}}
"""


def silence(interface: str) -> str:
    """Return the rules that lose everything on one interface, both ways, without an error."""
    return f"""
table netdev silence {{
  chain in {{
    type filter hook ingress device "{interface}" priority 0; policy drop;
  }}
  chain out {{
    type filter hook egress device "{interface}" priority 0; policy drop;
  }}
}}
"""
