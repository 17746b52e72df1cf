"""Which connection loses its slot when all are taken."""

from __future__ import annotations

from dcsend.serving.slots import Slot, Slots


class Room:
    """Slots, and whose connections were ended."""

    def __init__(self, most: int) -> None:
        self.slots = Slots(most)
        self.ended: list[str] = []

    def enter(self, host: str, name: str = "") -> Slot | None:
        """Take a slot."""
        return self.slots.take(host, lambda: self.ended.append(name or host))


def test_oldest_connection_of_the_host_with_most_of_them_is_ended() -> None:
    room = Room(4)
    for name in ("a1", "b1", "a2", "a3", "c1"):
        room.enter(name[0], name)
    assert room.ended == ["a1"]
    room.enter("d", "d1")
    assert room.ended == ["a1", "a2"]
    room.enter("e", "e1")  # each has one
    assert room.ended == ["a1", "a2", "b1"]
    assert len(room.slots) == 4


def test_host_that_connects_again_and_again_ends_its_own_connections() -> None:
    room = Room(4)
    joiner = room.enter("b", "joiner")
    for _ in range(100):
        room.enter("a")
    assert set(room.ended) == {"a"}
    assert joiner is not None


def test_kept_connections_stay_and_without_another_one_the_new_one_gets_no_slot() -> None:
    room = Room(2)
    kept = [slot for host in ("a", "a") if (slot := room.enter(host)) is not None]
    for slot in kept:
        slot.keep()
    assert room.enter("b") is None
    assert room.ended == []
    room.slots.leave(kept[0])
    room.slots.leave(kept[0])
    assert room.enter("b") is not None
