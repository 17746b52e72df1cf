"""When consent to send is asked for, and when it expires; the time is a parameter."""

from __future__ import annotations

from dcsend.ice import consent


def test_consent_is_asked_for_every_five_seconds_and_every_second_in_silence() -> None:
    clock = consent.Consent(100.0, lambda low, high: 1.0)
    due = []
    for tick in range(1, 61):
        now = 100.0 + tick / 2
        if now <= 112:
            clock.received(now, 1)
        if clock.is_due(now):
            due.append(now)
            if now <= 112:
                clock.answered(now)
    assert due[:3] == [105.0, 110.0, 113.0]
    assert due[3:8] == [114.0, 115.0, 116.0, 117.0, 118.0]


def test_consent_is_asked_for_every_second_until_a_check_is_answered() -> None:
    clock = consent.Consent(100.0, lambda low, high: 1.0)
    due = []
    for tick in range(1, 41):
        now = 100.0 + tick / 2
        clock.received(now, 1)
        if clock.is_due(now):
            due.append(now)
            if now == 109:
                clock.answered(now)
    assert due[:5] == [105.0, 106.0, 107.0, 108.0, 109.0]
    assert due[5:8] == [114.0, 115.0, 116.0]


def busy(until: float) -> consent.Consent:
    """Return a consent for a path on which many datagrams have arrived until then."""
    clock = consent.Consent(100.0, lambda low, high: 1.0)
    for tick in range(1, round((until - 100) * 10) + 1):
        clock.received(100 + tick / 10, 10)
        assert not clock.is_due(100 + tick / 10)
    return clock


def test_consent_is_asked_for_once_in_a_short_pause_after_many_datagrams() -> None:
    clock = busy(102.0)
    due = [tick for tick in range(1, 15) if clock.is_due(102 + tick / 10)]
    assert due == [3, 13]
    assert clock.wait(103.5) == consent.BUSY_POLL


def test_pause_after_few_datagrams_is_ordinary() -> None:
    clock = consent.Consent(100.0, lambda low, high: 1.0)
    for tick in range(1, 5):
        clock.received(100 + tick / 2, 2)
    assert [tick for tick in range(1, 11) if clock.is_due(102 + tick / 10)] == [10]
    assert clock.wait(102.9) == consent.POLL


def test_silence_has_ended_after_a_second_or_after_a_short_pause_of_a_busy_path() -> None:
    assert not busy(102.0).received(102.2, 1)
    clock = busy(102.0)
    assert clock.received(102.6, 1)
    assert not clock.received(103.5, 1)
    assert clock.received(104.6, 1)


def test_checks_of_a_busy_path_are_counted_if_nothing_has_just_arrived() -> None:
    """Each of them may be the first one from another address, so its PRIORITY is higher."""
    clock = busy(104.9)
    clock.received(105.0, 10)
    assert clock.is_due(105.0)
    assert clock.quiet_checks == 0
    clock = busy(104.9)
    assert clock.is_due(105.0)
    assert clock.quiet_checks == 1


def test_consent_expires_thirty_seconds_after_the_last_answer() -> None:
    clock = consent.Consent(100.0)
    assert clock.expires == 130.0
    clock.answered(117.0)
    assert clock.expires == 147.0
