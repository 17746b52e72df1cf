"""The pace: the shared vectors, simulated paths, and what holds whatever happens."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsend.protocol.limits import MAX_FRAME, WINDOW
from dcsend.protocol.pace import CAUTIOUS, FLOOR, LOOSE, Manner, Pace
from tests.pace_vectors import FOLDER, SCENARIOS
from tests.paths import Journey, Line, journey

VECTORS = sorted(FOLDER.glob("pace-*.txt"))

ORDINARY = 12.5e6
"100 Mbit/s, in bytes per second; its product with 40 ms is 500 KB."


def over(
    trip: float, rate: float, seconds: float = 5.0, manner: Manner = CAUTIOUS
) -> tuple[Journey, float]:
    """Send over a steady path; return what happened and the share of the line."""
    travelled = journey(Pace(manner), Line(lambda _: trip, lambda _: rate), seconds)
    return travelled, travelled.rate(0, seconds) / rate


# --- the vectors


def test_there_is_a_vector_for_each_scenario() -> None:
    assert [path.name for path in VECTORS] == sorted(f"pace-{name}.txt" for name in SCENARIOS)


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_sizes_are_those_of_the_vectors(path: Path) -> None:
    head, _, events = path.read_text(encoding="utf-8").partition("\n\n")
    headers = dict(line.split(": ") for line in head.splitlines())
    first, delay, share = headers["manner"].split()
    pace = Pace(Manner(int(first), float(delay), float(share)), int(headers["most"]))
    for number, line in enumerate(events.splitlines()):
        kind, time, count, size = line.split()
        call = {"send": pace.send, "ack": pace.acknowledge}[kind]
        call(int(count), float(time))
        assert pace.size == int(size), f"event {number}: {line}"


# --- steady paths


def test_line_of_100_megabits_is_full_with_little_in_its_queue() -> None:
    """500 KB in the queue is where libwebrtc loses a burst."""
    travelled, share = over(0.04, ORDINARY)
    assert share > 0.9
    assert travelled.queue(0, 5) < 400_000
    assert travelled.queue(1, 5) < 300_000
    assert 550_000 < travelled.size(5) < 750_000


def test_line_of_100_megabits_is_full_within_ten_round_trips() -> None:
    travelled, _ = over(0.04, ORDINARY)
    assert travelled.rate(0.4, 0.8) > 0.95 * ORDINARY


def test_uplink_with_a_deep_buffer_adds_less_than_150_milliseconds() -> None:
    travelled, share = over(0.06, 1e6, 15)
    assert share > 0.95
    assert travelled.queue(0, 15) / 1e6 < 0.15


@pytest.mark.parametrize("trip", [0.0001, 0.001])
@pytest.mark.parametrize("rate", [10e6, 30e6, 110e6])
def test_lan_is_not_limited(trip: float, rate: float) -> None:
    assert over(trip, rate, 2)[1] > 0.98


@pytest.mark.parametrize("trip", [0.01, 0.04, 0.15])
def test_gigabit_is_filled_as_far_as_the_receiver_grants(trip: float) -> None:
    travelled, _ = over(trip, 125e6, 6)
    assert travelled.rate(4, 6) > 0.95 * min(125e6, WINDOW / trip)


@pytest.mark.parametrize("trip", [0.0005, 0.04, 0.15])
def test_trusted_engine_is_never_limited(trip: float) -> None:
    """Twice the path's bandwidth-delay product or more may always be in flight, but for a drain."""
    travelled, _ = over(trip, 30e6, 9, LOOSE)
    assert min(size for _, size in travelled.sizes) >= min(WINDOW, 2 * 30e6 * trip)


def test_trusted_engine_does_not_get_seconds_of_data() -> None:
    assert over(0.04, 2.5e6, 60, LOOSE)[0].size(50) < 2.5e6 * 0.5


# --- paths that change


def test_rise_of_the_rate_is_followed() -> None:
    line = Line(lambda _: 0.04, lambda t: 5e6 if t < 3 else ORDINARY)
    assert journey(Pace(), line, 6).rate(4, 6) > 0.95 * ORDINARY


def test_fall_of_the_rate_is_followed() -> None:
    """In full once it is known how long a frame now takes, every ten seconds."""
    line = Line(lambda _: 0.04, lambda t: ORDINARY if t < 3 else 2.5e6)
    travelled = journey(Pace(), line, 18)
    assert travelled.rate(4, 9) > 0.85 * 2.5e6
    assert travelled.rate(14, 18) > 0.95 * 2.5e6
    assert travelled.queue(6, 18) / 2.5e6 < 0.15


@pytest.mark.parametrize("after", [0.01, 0.12])
def test_other_round_trip_is_noticed(after: float) -> None:
    """A longer one only when the shortest is measured anew, every ten seconds."""
    line = Line(lambda t: 0.04 if t < 3 else after, lambda _: ORDINARY)
    travelled = journey(Pace(), line, 20)
    assert travelled.rate(16, 20) > 0.95 * ORDINARY
    assert travelled.queue(16, 20) < 0.4 * ORDINARY * max(after, 0.06)


def test_measuring_the_round_trip_anew_costs_next_to_nothing() -> None:
    travelled = journey(Pace(), Line(lambda _: 0.04, lambda _: ORDINARY), 40)
    assert min(size for time, size in travelled.sizes if time > 1) < 0.04 * ORDINARY
    assert travelled.rate(1, 40) > 0.98 * ORDINARY


# --- slow disks, and nothing to send


def test_slow_disk_is_not_flooded_and_its_stall_is_forgotten() -> None:
    """5 MB/s; then nothing for two seconds."""
    line = Line(
        *(lambda _: 0.04, lambda _: ORDINARY),
        write=lambda t: 2.0 if 3 < t < 3.013 else MAX_FRAME / 5e6,
    )
    travelled = journey(Pace(), line, 9)
    assert max(size for time, size in travelled.sizes if time > 1) < 600_000
    assert travelled.rate(1, 2.9) > 0.95 * 5e6
    assert travelled.rate(5.5, 9) > 0.95 * 5e6


def test_disk_that_syncs_now_and_then_slows_nothing_but_itself() -> None:
    """0.1 s of every second; afterwards everything goes on as before at once."""
    line = Line(
        *(lambda _: 0.001, lambda _: 30e6),
        write=lambda t: 0.1 if t % 1 < 0.002 else 0.0005,
    )
    assert journey(Pace(), line, 6).rate(1, 6) > 0.88 * 30e6


def test_pauses_do_not_lower_it() -> None:
    line = Line(lambda _: 0.04, lambda _: ORDINARY, wanted=lambda t: t < 1 or t % 1 < 0.02)
    travelled = journey(Pace(), line, 8)
    assert travelled.size(8) >= 0.9 * travelled.size(0.99)


def test_little_to_send_over_a_busy_receiver_does_not_lower_it() -> None:
    """Each frame is late; but the sender was not waiting for any."""
    pace = Pace()
    travelled = journey(pace, Line(lambda _: 0.04, lambda _: ORDINARY), 1)
    sent, full = sum(cost for kind, _, cost, _ in travelled.events if kind == "send"), pace.size
    pace.acknowledge(sent, 1.1)
    for number in range(100):
        pace.send(MAX_FRAME, 2 + number / 10)
        sent += MAX_FRAME
        pace.acknowledge(sent, 2.09 + number / 10)
    assert full > 500_000
    assert pace.size == full


def test_short_frames_before_long_ones_do_not_mislead() -> None:
    """A frame of 100 bytes is faster there than one of 65 KB, which is no queue."""
    pace = Pace()
    for number in range(20):
        pace.send(100, number / 10 - 2)
        pace.acknowledge(100 * (number + 1), number / 10 - 2 + 0.0401)
    line = Line(lambda _: 0.04, lambda _: 2.5e6)
    assert journey(pace, line, 5, before=2000).rate(1, 5) > 0.95 * 2.5e6


# --- whatever happens


@given(
    st.sampled_from([CAUTIOUS, LOOSE]),
    st.integers(1, 2**30),
    st.lists(
        st.tuples(
            st.integers(1, 2 * MAX_FRAME), st.floats(0, 20), st.integers(0, 40), st.booleans()
        ),
        max_size=150,
    ),
)
def test_size_stays_in_bounds_and_a_frame_may_always_go(
    manner: Manner, most: int, steps: list[tuple[int, float, int, bool]]
) -> None:
    """Frames of any length, acknowledged at any pace, at times that may stand still."""
    pace, now, totals, acknowledged = Pace(manner, most), 0.0, [0], 0
    for cost, pause, count, obedient in steps:
        now += pause
        if pace.allows(cost) or not obedient:
            pace.send(cost, now)
            totals.append(totals[-1] + cost)
        acknowledged = min(len(totals) - 1, acknowledged + count)
        pace.acknowledge(totals[acknowledged], now)
        assert min(FLOOR, most) <= pace.size <= most
    pace.acknowledge(totals[-1], now)
    assert pace.allows(2**31)


def test_time_that_runs_backwards_does_no_harm() -> None:
    pace = Pace()
    pace.send(MAX_FRAME, 5.0)
    pace.acknowledge(MAX_FRAME, 4.0)
    assert pace.size >= FLOOR
