"""Commands: typed lines, and lines of JSON."""

from __future__ import annotations

import pytest

from dcsend.errors import UsageError
from dcsend.session.limiting import RateLimit
from dcsend.session.steering import obey, obey_json


@pytest.mark.parametrize(
    ("line", "message"), [("hello", "hello"), ("//etc/hosts", "/etc/hosts"), (" /x", " /x")]
)
def test_line_that_is_no_command_is_a_message(line: str, message: str) -> None:
    limit = RateLimit(5000)
    assert obey(line, limit) == message
    assert limit.rate == 5000


@pytest.mark.parametrize(
    ("line", "rate"), [("/limit 1M", 1e6), ("/limit  2 K ", 2000), ("/limit off", None)]
)
def test_typed_limit_takes_effect(line: str, rate: float | None) -> None:
    limit = RateLimit(5000)
    assert obey(line, limit) == ""
    assert limit.rate == rate


@pytest.mark.parametrize(
    "line", ["/", "/limits 1M", "/quit\x1b[2J", "/limit", "/limit 1", "/limit x"]
)
def test_wrong_command_is_refused(line: str) -> None:
    limit = RateLimit(5000)
    with pytest.raises(UsageError) as caught:
        obey(line, limit)
    assert caught.value.message.isprintable()
    assert caught.value.hint
    assert limit.rate == 5000


@pytest.mark.parametrize(
    ("line", "rate"),
    [
        ('{"limit":1000000}\n', 1e6),
        ('{"limit": 2.5e3}', 2500),
        ('{"limit": null}', None),
        ("\n", 5000),
    ],
)
def test_limit_in_json_takes_effect(line: str, rate: float | None) -> None:
    limit = RateLimit(5000)
    obey_json(line, limit)
    assert limit.rate == rate


@pytest.mark.parametrize(
    "line",
    [
        *("1", "x", '{"limit":', "{}", "[" * 100_000, '{"limit":1,"x":2}', '{"rate":5000}'),
        *('{"limit":true}', '{"limit":"2M"}', '{"limit":0}', '{"limit":NaN}', '{"limit":[]}'),
        *('{"limit":1e400}', '{"limit":-1e400}', '{"limit":1' + "0" * 400 + "}"),
    ],
)
def test_wrong_json_is_refused(line: str) -> None:
    limit = RateLimit(5000)
    with pytest.raises(UsageError) as caught:
        obey_json(line, limit)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 80
    assert limit.rate == 5000
