"""The computations of the benchmark; its measurements are not tested."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench import results
from bench.compare import ratios
from bench.contenders import CONTENDERS
from bench.fairness import arrived_at
from bench.files import require_room
from bench.paths import GRID, size_for
from bench.report import page, summary
from bench.results import Result, Row, Spread, progress
from bench.rounds import attempt
from bench.running import Cost, Failed, Running
from bench.tables import ratio

CONDITIONS = {
    **{"date": "2026-01-02 03:04 UTC", "commit": "abc", "kernel": "Linux 6", "cpu": "Some CPU"},
    **{"cores": 2, "memory_gib": 8, "python": "3.13.1", "load_before": 0.1, "versions": {}},
}


def result(rate: float, *, complete: bool = True) -> Result:
    cost = Cost(2.0, 50 << 20)
    return Result(int(rate * 1e7), 10.0, complete, cost, cost, [(5.0, int(rate * 5e6))])


def written(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, row: Row) -> dict[str, Any]:
    monkeypatch.setattr(results, "FOLDER", folder)
    path = results.save(name, CONDITIONS, {"rounds": 2}, [row])
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


@pytest.fixture
def row() -> Row:
    row = Row("a line", {"dcsend": 100, "libwebrtc": 100}, bottleneck=20.0)
    row.results = {
        "dcsend": [result(10.0), result(18.0), result(12.0)],
        "libwebrtc": [result(5.0), result(6.0), result(0.0, complete=False)],
    }
    return row


def test_a_spread_has_as_many_digits_as_make_sense() -> None:
    assert str(Spread.of([1.0, 2.5, 2.0])) == "2.00 (1.00–2.50)"
    assert str(Spread.of([99.0, 240.4, 301.0])) == "240 (99–301)"
    assert Spread.of([]).median == 0.0


def test_ratios_of_trees_are_medians_of_rounds() -> None:
    """The ratio of the medians, 60 to 20, would say 3."""
    rates = {"old": [10.0, 20.0, 100.0, 1.0], "new": [20.0, 60.0, 100.0, 0.0]}
    assert ratios(rates) == {"new": 2.0}


def test_ratios_are_of_rounds_and_leave_out_what_got_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, row: Row
) -> None:
    part = written(monkeypatch, tmp_path, "paths", row)
    assert ratio(part["rows"][0], "libwebrtc") == "2.50"  # between 10/5 and 18/6


def test_a_page_has_medians_costs_shares_and_conditions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, row: Row
) -> None:
    row.timing = {"dcsend": "from here to there"}
    part = written(monkeypatch, tmp_path, "paths", row)
    text = "\n".join(page({"paths": part}, {"paths": ["paths-time.png"]}))
    assert "| dcsend | 100 | 12.0 (10.0–18.0) | 1.00 | 0.60 |" in text
    assert "| 2 of 3 |" in text
    assert "Some CPU, 2 cores, 8 GiB; Linux 6; Python 3.13.1" in text
    assert "**dcsend**: from here to there." in text
    assert "(paths-time.png)" in text


def test_what_a_browser_sends_stands_beside_what_it_adds_to_a_ping(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, row: Row
) -> None:
    row.results = {"firefox": [result(10.0), result(18.0, complete=False)]}
    row.megabytes = {"firefox": 60}
    row.extra = {
        "firefox": [
            {"idle_ms": 40.0, "busy_ms": 50.0, "busy_95_ms": 60.0},
            {"idle_ms": 40.0, "busy_ms": 60.0, "busy_95_ms": 90.0},
        ]
    }
    part = written(monkeypatch, tmp_path, "uploads", row)
    text = "\n".join(page({"uploads": part}, {}))
    assert "| a line: firefox | 60 | 14.0 (10.0–18.0) | 0.70 | 15 | 35 |" in text
    assert "| 1 of 2 |" in text


def test_meetings_have_both_times_and_how_many_were_completed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    row = Row("a cable", {})
    row.extra = {
        "dcsend": {"connected_ms": [300.0, 500.0], "saved_ms": [310.0, 530.0], "failed": ["late"]},
        "magic-wormhole": {"connected_ms": [], "saved_ms": [], "failed": ["late", "late", "late"]},
    }
    part = written(monkeypatch, tmp_path, "meeting", row)
    text = "\n".join(page({"meeting": part}, {}))
    assert "| a cable: dcsend | 400 (300–500) | 1.00 | 420 (310–530) | 2 of 3 |" in text
    assert "| a cable: magic-wormhole | – | – | – | 0 of 3 |" in text
    assert "other work" not in text
    busy = {**part, "conditions": {**CONDITIONS, "load_before": 7.5}}
    assert "was 7.5: other work shared the 2 cores" in "\n".join(page({"meeting": busy}, {}))


def test_small_files_are_compared_by_transfer_and_by_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def took(seconds: float, elapsed: float) -> Result:
        return Result(40_000_000, seconds, True, Cost(1.0, 1 << 20), Cost(1.0, 1 << 20, elapsed))

    row = Row("many", {})
    row.results = {"one file": [took(0.5, 1.0)], "many files": [took(1.5, 2.0), took(2.5, 3.0)]}
    part = written(monkeypatch, tmp_path, "small", row)
    text = "\n".join(page({"small": part}, {}))
    assert "| many files | 2.00 (1.50–2.50) | 2.50 (2.00–3.00) |" in text
    assert "many files take 2.50 times" in text
    assert "4.00 times from the accepted manifest" in text


def test_the_short_table_compares_with_the_line_and_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, row: Row
) -> None:
    part = written(monkeypatch, tmp_path, "paths", row)
    lines = list(summary({"paths": part}))
    assert "| a line | 12.0 (60% of the line) | libwebrtc 5.00 (× 2.50) |" in lines


@pytest.mark.parametrize(
    ("moment", "arrived"), [(0.0, 0), (0.5, 50), (1.0, 100), (1.5, 200), (2.0, 300), (9.0, 300)]
)
def test_between_two_points_bytes_arrive_evenly(moment: float, arrived: float) -> None:
    assert arrived_at([(1.0, 100), (2.0, 300)], moment) == arrived


def test_a_slow_line_gets_less_to_carry() -> None:
    assert size_for(GRID[0], 300) == 150
    assert size_for(GRID[1], 300) == 300


def test_a_series_begins_with_its_transfer() -> None:
    assert progress(10.0, [(9.0, 1), (10.5, 2)]) == [(0.5, 2)]


def test_failed_program_has_the_rate_zero_and_a_reason() -> None:
    def fail() -> Result:
        raise Failed("no way")

    failed = attempt("program", fail)
    assert (failed.rate, failed.complete, failed.note) == (0.0, False, "no way")


def test_no_room_is_reported_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="GB"):
        require_room(tmp_path, 1 << 60)


def test_every_program_states_what_is_timed() -> None:
    assert all("from the" in one.timing for one in CONTENDERS.values())


linux = pytest.mark.skipif(sys.platform != "linux", reason="the benchmark needs Linux")


@pytest.mark.full
@linux
def test_its_lines_have_a_time_and_its_memory_is_its_own() -> None:
    # 60 MB, more than the process that starts it has allocated at once.
    script = "x = bytearray(60_000_000); print(input(), flush=True); import time; time.sleep(1)"
    before = time.monotonic()
    with Running([sys.executable, "-c", script]) as program:
        program.write_line("hello")
        line, _ = program.until("hel+o")
        cost = program.end()
    assert before < line.at < time.monotonic()
    assert program.status == 0
    assert 60_000_000 < cost.peak_rss < 100_000_000
    assert 0 < cost.cpu_seconds < 1
    assert line.at - before <= cost.elapsed < time.monotonic() - before + 0.001


@pytest.mark.full
@linux
def test_one_that_ends_too_early_reports_why() -> None:
    script = "raise SystemExit('out of cheese')"
    with (
        Running([sys.executable, "-c", script]) as program,
        pytest.raises(Failed, match="out of cheese"),
    ):
        program.until("never")


@pytest.mark.full
@linux
def test_one_that_never_ends_is_killed() -> None:
    with Running([sys.executable, "-c", "import time; time.sleep(1000)"]) as program:
        with pytest.raises(TimeoutError):
            program.until("never", 0.2)
        program.end(0.1)
    assert program.status == -9


@pytest.mark.full
@linux
def test_programs_started_by_one_that_ignores_interrupts_do_not_ignore_them() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        # Short sleeps: Python handles a signal that arrives just before a sleep only after it.
        script = "import time\nprint('here', flush=True)\nwhile True: time.sleep(0.1)"
        with Running([sys.executable, "-c", script]) as program:
            program.until("here")
            program.end(10.0, interrupt=True)
    finally:
        signal.signal(signal.SIGINT, before)
    assert program.status == -2
