"""After a short outage, the transfer continues soon.

Those between terminals run at the same time, each in its own laboratory: they mostly wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from tests.lab.outages import Story, story
from tests.support.browsers import require
from tests.support.load import slowness

LONGEST: Final = 20.0
"Seconds of an outage that a transfer between terminals survives."
SOON: Final = 3.0
"""Seconds from its end until the transfer continues, plus the interval of progress events; on an
idle machine."""
LONGER: Final = 40.0
"Seconds of an outage after which consent has expired on both sides: another connection follows."
PAGE_SHORT: Final = 5.0
"Seconds of an outage that a transfer with a browser survives; browsers give up after about 16 s."
PAGE_SOON: Final = 3.5
"The same with a browser, plus the interval of progress events."

SURVIVED: Final = (
    ("dials and sends", "silent", LONGEST),
    ("dials and sends", "down", LONGEST),
    ("dials and sends", "asleep", LONGEST),
    ("dials and sends", "forgotten", 0.0),
    ("dials and receives", "silent", LONGEST),
    ("dials and receives", "down", LONGEST),
    ("answers and receives", "silent", LONGEST),
    ("answers and receives", "down", 5.0),
    ("dials and sends", "another port", 0.0),
    ("dials and sends", "another network", 0.0),
    ("dials and receives", "another address", 0.0),
    ("dials and receives", "another network", 0.0),
    ("answers and receives", "another network", 0.0),
)

REPLACED: Final = (
    ("dials and sends", "silent", LONGER),
    ("dials and receives", "down", LONGER),
    ("dials and sends", "asleep", LONGER),
    ("dials and receives", "other asleep", LONGER),
    ("dials and receives", "away", LONGER),
)
"Those with a dial code: the dialer dials again."

MET_AGAIN: Final = (("joins and receives", "both moved", 0.0),)
"Those with a short code, which a dial code does not survive; `make lab` has longer ones."

QUARTER: Final = 0.25
"Least rate while the translator assigns other ports all the time, as a part of that of the link."
REBOUND: Final = (
    ("dials and sends", "rebinding", 10.0),
    ("dials and receives", "rebinding", 10.0),
)
"A sample: `make lab` has a minute, and the other ways."
REBOUND_SOON: Final = 1.2
"Seconds without progress after each change of the port, with the interval of progress events."

WITH_A_PAGE: Final = (
    ("page dials and receives", "silent", PAGE_SHORT),
    ("page dials and receives", "another network", 0.0),
    ("page dials and receives", "another port", 0.0),
    ("page stays, a sends", "another network", 0.0),
)
"Chromium follows a terminal that changes its network: a controlling side does."

PAGE_AGAIN: Final = (
    ("page dials and receives", "silent", 20.0, "chromium"),
    ("page dials and sends", "silent", 20.0, "firefox"),
    ("page dials and receives", "asleep", 35.0, "chromium"),
)
"""The browser has given the connection up by then, or the terminal has: the page dials again. A
locked phone stops a browser, too."""

Stories = Mapping[tuple[str, str, float], Future[Story]]


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stories]:
    """Begin all of them; each test waits for its own."""
    cases = (*REPLACED, *MET_AGAIN, *SURVIVED)
    with ThreadPoolExecutor(len(cases)) as pool:
        yield {case: pool.submit(story, *case, tmp_path_factory.mktemp("story")) for case in cases}


@pytest.mark.parametrize(("kind", "event", "seconds"), SURVIVED)
def test_transfer_goes_on_soon_after_an_outage(
    stories: Stories, kind: str, event: str, seconds: float
) -> None:
    became = stories[kind, event, seconds].result()
    assert became.statuses == (0, 0), became
    assert became.stall <= seconds + SOON * became.slowness, became


@pytest.mark.parametrize(("kind", "event", "seconds"), REPLACED)
def test_transfer_goes_on_over_another_connection_after_a_long_outage(
    stories: Stories, kind: str, event: str, seconds: float
) -> None:
    became = stories[kind, event, seconds].result()
    assert became.statuses == (0, 0), became
    assert became.stall <= seconds + SOON * became.slowness, became


@pytest.mark.parametrize(("kind", "event", "seconds"), MET_AGAIN)
def test_both_sides_of_a_short_code_meet_again(
    stories: Stories, kind: str, event: str, seconds: float
) -> None:
    became = stories[kind, event, seconds].result()
    assert became.statuses == (0, 0), became
    assert became.stall <= seconds + SOON * became.slowness, became


def test_transfer_has_a_quarter_of_the_rate_while_ports_change_every_five_seconds(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Not beside the others, whose programs would take the processor."""
    with ThreadPoolExecutor(len(REBOUND)) as pool:
        stories = [
            pool.submit(story, *case, tmp_path_factory.mktemp("rebound")) for case in REBOUND
        ]
    for work in stories:
        became = work.result()
        assert became.statuses == (0, 0), became
        assert became.share >= QUARTER / slowness(), became
        assert became.stall <= REBOUND_SOON * slowness(), became


@pytest.mark.parametrize(("kind", "event", "seconds"), WITH_A_PAGE)
def test_transfer_with_a_browser_goes_on_after_a_short_outage(
    kind: str, event: str, seconds: float, tmp_path: Path
) -> None:
    require("chromium")
    became = story(kind, event, seconds, tmp_path)
    assert became.statuses == (0, 0), became
    assert became.stall <= seconds + PAGE_SOON * slowness(), became


def test_page_dials_again_after_its_connection_was_given_up(tmp_path: Path) -> None:
    for *_, browser in PAGE_AGAIN:
        require(browser)
    folders = [tmp_path / str(number) for number in range(len(PAGE_AGAIN))]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor(len(PAGE_AGAIN)) as pool:
        stories = [
            pool.submit(story, kind, event, seconds, folder, browser)
            for (kind, event, seconds, browser), folder in zip(PAGE_AGAIN, folders, strict=True)
        ]
    for (_, _, seconds, _), work in zip(PAGE_AGAIN, stories, strict=True):
        became = work.result()
        assert became.statuses == (0, 0), became
        assert became.stall <= seconds + PAGE_SOON * slowness(), became
