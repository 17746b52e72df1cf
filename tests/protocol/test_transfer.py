"""Whole transfers: Sender and Receiver joined by a Link, no engine, no disk."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsend.entry import Entry, Kind
from dcsend.errors import UsageError
from dcsend.listing import Entries
from dcsend.protocol import limits
from dcsend.protocol.events import (
    Cancelled,
    Completed,
    Declined,
    ManifestReceived,
    PeerIntroduced,
    PeerSaidBye,
)
from dcsend.protocol.receiver import Receiver
from dcsend.protocol.sender import Sender
from dcsend.protocol.side import TransferState
from tests.support.link import Link, Plan

FULL = limits.MAX_PAYLOAD_WITH_DIGEST


def content(size: int, seed: int = 0) -> bytes:
    """Bytes that repeat nowhere near."""
    return random.Random(seed * 1_000_003 + size).randbytes(size)


def files(*contents: bytes) -> list[Entry]:
    """One entry for each content."""
    return [Entry(f"{number}.bin", size=len(data)) for number, data in enumerate(contents)]


def link_for(*contents: bytes, plan: Plan | None = None) -> Link:
    """A link about to send these contents."""
    return Link(files(*contents), dict(enumerate(contents)), plan)


def assert_done(link: Link, completed: Completed) -> None:
    """Both sides ended as they should, with this last word."""
    assert (link.sender.state, link.receiver.state) == (TransferState.DONE, TransferState.DONE)
    assert link.sender_events[-1] == completed
    assert link.receiver_events[-1] == PeerSaidBye()


@pytest.mark.parametrize(
    "size",
    [0, 1, FULL - 1, FULL, FULL + 1, 2 * FULL, limits.WINDOW, limits.WINDOW + 1],
)
def test_transfer_of_one_file_arrives(size: int) -> None:
    link = link_for(content(size))
    link.run()
    assert_done(link, Completed(ok=True, files=1, bytes=size))
    assert link.saved == {0: content(size)}


def test_transfer_introduces_both_sides() -> None:
    link = link_for(b"x")
    link.run()
    assert link.sender_events[0] == PeerIntroduced("receiver/1", 1, ())
    assert link.receiver_events[0] == PeerIntroduced("sender/1", 1, ("again", "window"))


def test_transfer_of_nothing_completes() -> None:
    link = Link([], {})
    link.run()
    assert_done(link, Completed(ok=True, files=0, bytes=0))


def test_transfer_of_folders_and_links_needs_no_frame() -> None:
    entries = [Entry("d", Kind.DIRECTORY), Entry("d/l", Kind.LINK, target="../x")]
    link = Link(entries, {})
    link.run()
    assert_done(link, Completed(ok=True, files=0, bytes=0))
    assert ManifestReceived(Entries(entries)) in link.receiver_events


def test_transfer_of_a_tree_keeps_the_order_and_every_field() -> None:
    entries = [
        Entry("d", Kind.DIRECTORY, mode=0o700, mtime=5),
        Entry('d/ä"\\\n', size=3, mode=0o755, mtime=-1),
        Entry("d/l", Kind.LINK, target="ä", mode=0o777),
        Entry("d/sparse", size=9, stored=0),
        Entry("note", Kind.TEXT, size=2),
    ]
    link = Link(entries, {1: b"abc", 3: bytes(9), 4: b"hi"})
    link.run()
    assert_done(link, Completed(ok=True, files=3, bytes=14))
    assert ManifestReceived(Entries(entries)) in link.receiver_events
    assert link.saved == {1: b"abc", 3: bytes(9), 4: b"hi"}


@pytest.mark.full
def test_transfer_of_many_files_splits_the_manifest() -> None:
    count = 3000
    link = link_for(*[b"%d" % number for number in range(count)])
    assert len(Link(files(*[b"x"] * count), {}).sender.messages_to_send()) == 1  # only Hello
    link.run()
    assert link.saved == {number: b"%d" % number for number in range(count)}
    assert_done(link, Completed(ok=True, files=count, bytes=sum(map(len, link.saved.values()))))


def test_transfer_of_a_stream_learns_its_size_at_the_end() -> None:
    data = content(3 * FULL + 5)
    link = Link([Entry("-", size=None)], {0: data})
    link.run()
    assert_done(link, Completed(ok=True, files=1, bytes=len(data)))
    assert link.saved == {0: data}


@pytest.mark.parametrize("size", [None, 6 * FULL])
def test_transfer_of_holes_sends_no_zeros(size: int | None) -> None:
    data = bytes(FULL) + content(FULL) + bytes(2 * FULL) + content(FULL) + bytes(FULL)
    link = Link([Entry("sparse", size=size)], {0: data})
    link.run()
    assert_done(link, Completed(ok=True, files=1, bytes=len(data)))
    assert link.saved == {0: data}
    assert link.receiver.received < 3 * FULL


@pytest.mark.parametrize("size", [2, 3, 100])
def test_transfer_of_whole_files_together_is_that_of_each(size: int) -> None:
    contents = [content(number % 7 * 10, number) for number in range(20)]
    link = link_for(*contents, plan=Plan(skip={3: "exists"}, batch=size))
    link.run()
    expected = {number: one for number, one in enumerate(contents) if number != 3}
    assert link.saved == expected
    assert link.verdicts == dict.fromkeys(expected, "ok")
    total = sum(map(len, expected.values()))
    assert_done(link, Completed(ok=True, files=19, bytes=total))
    frames = -(-19 // size)
    assert link.receiver.received == total + 19 * 32 + frames * 24


def test_transfer_of_whole_files_goes_around_one_that_is_there_in_part() -> None:
    contents = [content(9, number) for number in range(5)]
    link = link_for(*contents, plan=Plan(have={2: 4}, batch=3))
    link.run()
    assert link.saved == dict(enumerate(contents))


def test_transfer_notices_a_file_of_a_batch_that_changed() -> None:
    link = link_for(b"one", b"two", b"three", plan=Plan(damaged=frozenset({2}), batch=3))
    link.run()
    assert link.verdicts == {0: "ok", 1: "ok", 2: "mismatch"}


def test_transfer_goes_on_after_an_aborted_file() -> None:
    link = link_for(content(FULL + 1), b"whole", content(9), plan=Plan(abort={0: FULL, 2: 0}))
    link.run()
    assert_done(link, Completed(ok=False, files=1, bytes=5))
    assert link.verdicts == {0: "failed", 1: "ok", 2: "failed"}


def test_transfer_leaves_out_what_is_skipped() -> None:
    plan = Plan(skip={0: "exists", 2: "unsafe", 3: "declined"})
    link = link_for(b"a", b"b", b"c", b"d", plan=plan)
    link.run()
    assert_done(link, Completed(ok=True, files=1, bytes=1))
    assert link.saved == {1: b"b"}


def test_transfer_of_only_skipped_files_completes() -> None:
    link = link_for(b"a", plan=Plan(skip={0: "exists"}))
    link.run()
    assert_done(link, Completed(ok=True, files=0, bytes=0))


@pytest.mark.parametrize("offset", [1, FULL, 2 * FULL, 2 * FULL + 7])
def test_transfer_starts_at_what_the_receiver_has(offset: int) -> None:
    data = content(2 * FULL + 7)
    link = link_for(data, plan=Plan(have={0: offset}))
    link.run()
    assert_done(link, Completed(ok=True, files=1, bytes=len(data)))
    assert link.saved == {0: data}
    assert link.receiver.received < len(data) - offset + 200


def test_transfer_of_very_many_skips_and_offsets_splits_the_answer() -> None:
    contents = [b"%04d" % number for number in range(2500)]
    skip = dict.fromkeys(range(0, 2500, 2), "exists")
    have = dict.fromkeys(range(1, 2500, 2), 2)
    link = link_for(*contents, plan=Plan(skip=skip, have=have))
    link.run()
    assert_done(link, Completed(ok=True, files=1250, bytes=5000))
    assert link.saved == {number: contents[number] for number in have}


def test_transfer_notices_a_file_that_changed() -> None:
    link = link_for(content(9), content(8), plan=Plan(damaged=frozenset({0})))
    link.run()
    assert_done(link, Completed(ok=False, files=1, bytes=8))
    assert link.verdicts == {0: "mismatch", 1: "ok"}


def test_transfer_goes_on_after_a_file_that_cannot_be_saved() -> None:
    plan = Plan(unsaved=frozenset({0, 2}))
    link = link_for(content(3 * FULL), content(8), content(7), plan=plan)
    link.run()
    assert_done(link, Completed(ok=False, files=1, bytes=8))
    assert link.verdicts == {0: "failed", 1: "ok", 2: "failed"}


def test_declined_transfer_ends_with_bye() -> None:
    link = link_for(b"x", plan=Plan(decline="destination"))
    link.run()
    assert link.sender_events[-1] == Declined("destination", "no room")
    assert (link.sender.state, link.receiver.state) == (TransferState.DECLINED, TransferState.DONE)


@pytest.mark.parametrize("window", [1, 100, FULL + 56, 3 * FULL])
def test_transfer_stays_inside_the_window(window: int) -> None:
    data = content(6 * FULL)
    link = link_for(data, plan=Plan(window=window))
    link.run()
    assert link.saved == {0: data}
    assert link.largest_flight <= max(window, FULL + 56)


@given(
    sizes=st.lists(st.integers(0, 40), max_size=6),
    payload=st.integers(1, 20),
    window=st.integers(1, 300),
    choices=st.lists(st.integers(0, 6), max_size=400),
    batch=st.integers(1, 4),
    unsaved=st.frozensets(st.integers(0, 5), max_size=2),
)
def test_transfer_arrives_in_any_order_of_events(
    sizes: list[int],
    payload: int,
    window: int,
    choices: list[int],
    batch: int,
    unsaved: frozenset[int],
) -> None:
    contents = [content(size, seed) for seed, size in enumerate(sizes)]
    plan = Plan(window=window, payload=payload, batch=batch, unsaved=unsaved)
    link = link_for(*contents, plan=plan)
    for choice in choices:
        link.step(choice)
    link.run()
    good = {number: one for number, one in enumerate(contents) if number not in unsaved}
    total = sum(map(len, good.values()))
    ok = len(good) == len(sizes)
    assert_done(link, Completed(ok=ok, files=len(good), bytes=total))
    assert {number: link.saved[number] for number in good} == good


@given(
    sizes=st.lists(st.integers(1, 200), min_size=1, max_size=4),
    cuts=st.lists(st.lists(st.integers(0, 200), max_size=8), min_size=4, max_size=4),
    payload=st.integers(1, 64),
    window=st.integers(1, 300),
    choices=st.lists(st.integers(0, 8), max_size=500),
    aborted=st.frozensets(st.integers(0, 3), max_size=1),
    unsaved=st.frozensets(st.integers(0, 3), max_size=1),
    vanished=st.frozensets(st.integers(0, 3), max_size=1),
)
def test_transfer_repairs_in_any_order_of_events(
    sizes: list[int],
    cuts: list[list[int]],
    payload: int,
    window: int,
    choices: list[int],
    aborted: frozenset[int],
    unsaved: frozenset[int],
    vanished: frozenset[int],
) -> None:
    contents = [content(size // 2, seed) + bytes(size // 2) for seed, size in enumerate(sizes)]
    have = {number: max(1, len(one) * 3 // 4) for number, one in enumerate(contents) if one}
    again = {
        number: list(zip(points[::2], points[1::2], strict=False))
        for number, most in have.items()
        if (points := sorted({cut % (most + 1) for cut in cuts[number]}))
    }
    plan = Plan(
        window=window,
        payload=payload,
        have=have,
        again=again,
        abort={number: have[number] for number in aborted & have.keys()},
        unsaved=unsaved,
        vanished=vanished,
    )
    link = link_for(*contents, plan=plan)
    for choice in choices:
        link.step(choice)
    link.run()
    failed = {*plan.abort, *unsaved, *(number for number in vanished if again.get(number))}
    good = {number: one for number, one in enumerate(contents) if number not in failed}
    assert (link.sender.state, link.receiver.state) == (TransferState.DONE, TransferState.DONE)
    completed = link.sender_events[-1]
    assert isinstance(completed, Completed)
    assert {number: link.saved.get(number, b"") for number in good} == good
    assert completed.ok == (len(good) == len(contents))


def small_transfer() -> Link:
    """A transfer with a bit of everything, about fifty steps long."""
    plan = Plan(
        payload=4,
        abort={2: 4},
        skip={3: "exists"},
        have={0: 4},
        again={0: [(1, 3)]},
        window=100,
        batch=2,
    )
    contents = (b"abcdefghij", b"", b"givenup", b"skipped", b"x", b"yz", b"", b"0")
    return link_for(*contents, plan=plan)


STEPS = range(small_transfer().run() + 1)


def cancel_sender(link: Link) -> None:
    link.sender.cancel("interrupted", "ctrl-c")


def cancel_receiver(link: Link) -> None:
    link.receiver.cancel("destination", "disk full")


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("cancel", [cancel_sender, cancel_receiver])
def test_cancel_at_every_step_ends_both_sides(steps: int, cancel: Callable[[Link], None]) -> None:
    link = small_transfer()
    for _ in range(steps):
        assert link.step()
    cancel(link)
    link.run()
    over = {TransferState.DONE, TransferState.CANCELLED}
    assert link.sender.state in over
    assert link.receiver.state in over
    if link.sender.state is TransferState.DONE:
        assert isinstance(link.sender_events[-1], Completed)
    if link.receiver.state is TransferState.DONE:
        assert isinstance(link.receiver_events[-1], PeerSaidBye)


@pytest.mark.parametrize("steps", STEPS)
def test_both_may_cancel_at_once(steps: int) -> None:
    link = small_transfer()
    for _ in range(steps):
        assert link.step()
    cancel_sender(link)
    cancel_receiver(link)
    link.run()
    assert link.sender.state in {TransferState.DONE, TransferState.CANCELLED}
    assert link.receiver.state in {TransferState.DONE, TransferState.CANCELLED}


@pytest.mark.parametrize("steps", STEPS)
def test_cut_at_every_step_is_never_taken_for_done(steps: int) -> None:
    link = small_transfer()
    for _ in range(steps):
        assert link.step()
    link.cut()
    link.run()
    if link.sender.state in {TransferState.COMPLETED, TransferState.DONE}:
        assert link.saved[0] == b"abcdefghij"
        assert link.receiver.state in {TransferState.COMPLETED, TransferState.DONE}
    else:
        assert link.receiver.state is not TransferState.DONE


def test_cancel_carries_the_reason() -> None:
    link = small_transfer()
    link.step()
    link.receiver.cancel("destination", "disk full")
    link.run()
    assert Cancelled("destination", "disk full") in link.sender_events


def exchange(first: Sender | Receiver, second: Sender | Receiver) -> list[type[Exception]]:
    """Let the two say hello; return what each of them raises."""
    raised: list[type[Exception]] = []
    first.start()
    second.start()
    hellos = (first.messages_to_send(), second.messages_to_send())
    for side, messages in ((second, hellos[0]), (first, hellos[1])):
        for message in messages:
            try:
                side.receive(message)
            except Exception as error:  # noqa: BLE001 - the type is what the test compares
                raised.append(type(error))
    return raised


def test_two_senders_refuse_each_other() -> None:
    assert exchange(Sender([], agent="a"), Sender([], agent="b")) == [UsageError, UsageError]


def test_two_receivers_refuse_each_other() -> None:
    assert exchange(Receiver(agent="a"), Receiver(agent="b")) == [UsageError, UsageError]


def test_a_sender_and_a_receiver_raise_nothing() -> None:
    assert exchange(Sender([], agent="a"), Receiver(agent="b")) == []


@pytest.mark.full
def test_long_transfer_keeps_nothing_per_frame() -> None:
    link = Link([Entry("-", size=None)], {0: b""})
    while link.sender.state is not TransferState.SENDING:
        link.step()
    payload = bytes(16)

    def send_frames(first: int, last: int) -> None:
        for number in range(first, last):
            frame = link.sender.data(0, number * 16, payload)
            (event,) = link.receiver.receive_frame(frame)
            link.receiver.written(event.cost)
            for message in link.receiver.messages_to_send():
                link.sender.receive(message)

    send_frames(0, 100)
    tracemalloc.start()
    try:
        send_frames(100, 3100)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 20_000
