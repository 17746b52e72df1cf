"""Whatever sockets and databases are lost, both sides get each message of the other one once.

The first message of a side is stored before its others: an allocator's mailbox takes no joiner that
begins with another one.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsend.rendezvous.mailbox import MailboxClient
from dcsend.rendezvous.wire import dump


class ModelServer:
    """The stock mailbox server for one number, without sockets."""

    def __init__(self) -> None:
        self._generation = 0
        self._stored: list[dict[str, str]] = []
        self._open: list[Link] = []

    def forget(self) -> None:
        """Lose the database."""
        self._generation += 1
        self._stored = []

    def lose(self, link: Link) -> None:
        """Lose one connection with the texts that are on their way."""
        link.is_lost = True
        if link in self._open:
            self._open.remove(link)

    def handle(self, text: str, link: Link) -> None:
        """Process a text of a client."""
        values = json.loads(text)
        match values["type"]:
            case "bind":
                link.side = values["side"]
            case "allocate":
                link.to_client.append(dump("allocated", nameplate="7"))
            case "claim":
                assert values["nameplate"] == "7"
                link.to_client.append(dump("claimed", mailbox=f"m{self._generation}"))
            case "open":
                assert values["mailbox"] == f"m{self._generation}"
                self._open.append(link)
                link.to_client.extend(dump("message", **stored) for stored in self._stored)
            case "add":
                number = int(values["phase"][1:])
                begun = number == 0 or any(one["side"] == link.side for one in self._stored)
                assert begun, f"{values['phase']} is the first message of its side"
                stored = {"side": link.side, "phase": values["phase"], "body": values["body"]}
                self._stored.append(stored)
                for other in self._open:
                    other.to_client.append(dump("message", **stored))
            case "ping":
                link.to_client.append(dump("pong", pong=values["ping"]))

    @property
    def count(self) -> int:
        """Messages in the mailbox."""
        return len(self._stored)


class Link:
    """One socket of one client, with the texts that are on their way."""

    def __init__(self, client: MailboxClient) -> None:
        self.client = client
        self.side = ""
        self.is_lost = False
        self.to_server = deque(client.connect())
        self.to_client = deque(['{"type":"welcome","welcome":{}}'])

    def move(self, server: ModelServer) -> bool:
        """Deliver one text in each direction; return whether there was any."""
        if self.is_lost:
            return False
        is_idle = not self.to_server and not self.to_client
        if self.to_server:
            server.handle(self.to_server.popleft(), self)
        if self.to_client:
            self.to_server.extend(self.client.receive(self.to_client.popleft()))
        return not is_idle


class World:
    """An allocator, a joiner and their server."""

    def __init__(self) -> None:
        self.server = ModelServer()
        self.clients = [MailboxClient("s", "aa"), MailboxClient("s", "bb", "7")]
        self.links = [Link(client) for client in self.clients]
        self.added = [0, 0]
        while not self.clients[0].number:  # `allocate` fails if a socket is lost before that
            self.links[0].move(self.server)

    def add(self, which: int) -> None:
        """Add a message of one client."""
        phase = f"{'ab'[which]}{self.added[which]}"
        self.links[which].to_server.extend(self.clients[which].add(phase, b"x"))
        self.added[which] += 1

    def move(self, which: int) -> None:
        """Deliver one text in each direction."""
        self.links[which].move(self.server)

    def drain(self, _: int) -> None:
        """Deliver all texts."""
        while any(link.move(self.server) for link in self.links):
            pass

    def lose(self, which: int) -> None:
        """Lose a socket; its client continues to send."""
        self.server.lose(self.links[which])

    def forget(self, _: int) -> None:
        """Start the server again with an empty database."""
        for which in (0, 1):
            self.lose(which)
        self.server.forget()

    def notice(self, which: int) -> None:
        """Connect a client again whose socket is lost."""
        if self.links[which].is_lost:
            self.links[which] = Link(self.clients[which])


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [World.add, World.move, World.drain, World.lose, World.forget, World.notice]
        ),
        st.integers(0, 1),
    ),
    min_size=20,
    max_size=60,
)


@pytest.mark.full
@given(STEPS)
def test_each_message_arrives_once_over_any_number_of_sockets(
    steps: list[tuple[Callable[[World, int], None], int]],
) -> None:
    world = World()
    for step, which in steps:
        step(world, which)
    for which in (0, 1):
        world.notice(which)
    world.drain(0)
    for which, client in enumerate(world.clients):
        got = sorted(phase for phase, _ in client.messages)
        assert got == sorted(f"{'ba'[which]}{n}" for n in range(world.added[1 - which]))
    assert world.server.count == sum(world.added), "a message is stored twice"
