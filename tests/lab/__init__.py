"""A laboratory of networks: two hosts, a and b, in one of `TOPOLOGIES`, and a server that both use.

```
topologies   the table of networks, as data         test_claims    does each match the table?
laboratory   Lab: programs on hosts, and events      test_ways      which way connects in which
building     namespaces, links, addresses            test_outages   outages that a transfer survives
rules        translators and firewalls, as nft text
server       STUN and names        relays  coturn    link.c wires   slow links
rendezvous   the stock mailbox server of short codes  page_host  the page on an https server
ways         two terminals connect: any code, with or without a relay
pages        the same with a browser                  page_codes  short codes with one or two pages
outages      the network changes in the middle of a transfer
short_codes  short codes in each network              test_short_codes   terminals in each network
                                                      test_page_codes    a sample with pages
measure      all of it, and docs/networks.md: `make lab`; results  what has been measured so far
```

    with Lab("restricted-restricted", delays=DISTANT) as lab:
        listener = lab.send(lab.a, film)
        receiver = lab.receive(lab.b, listener.code, tmp_path)
        with lab.silent(lab.a):
            ...

Needs Linux, root, iproute2, nftables, conntrack, a C compiler for delays, coturn for relays. All of
it is in namespaces named after the id of the process; several laboratories can be up at once.
"""

from __future__ import annotations

from tests.lab.laboratory import DISTANT, Lab
from tests.lab.topologies import TOPOLOGIES, Nat, Site, Topology

__all__ = ["DISTANT", "TOPOLOGIES", "Lab", "Nat", "Site", "Topology"]
