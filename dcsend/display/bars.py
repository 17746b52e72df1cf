"""Progress bars as text: one for the transfer, one for the current file. The only importer of tqdm.

tqdm only formats the bar: the event contains rate and remaining time, and `screen` places the rows.
"""

from __future__ import annotations

from dcsend.display.wording import fit, isolated, rate, remaining
from dcsend.printable import format_size, printable
from dcsend.session.events import Progressed

__all__ = ["BLOCKS", "bar_rows"]

BLOCKS = " ▏▎▍▌▋▊▉█"
"The characters of a smooth bar."

_WIDE = 70
"Columns from which all numbers are shown."
_WIDER = 90
"The same where the limit of the rate is one of them."
_NARROW = 50
"Columns below which the bar of the file is left out."
_ENOUGH = 100_000
"Bytes below which rate and remaining time are too inexact to show."


def bar_rows(
    event: Progressed,
    *,
    several: bool,
    columns: int,
    smooth: bool,
    still: float = 0.0,
    limit: float | None = None,
    aligned: bool = False,
) -> list[str]:
    """Return one or two rows, each narrower than the window.

    Args:
        event: the progress.
        several: whether there is more than one file, and so a second bar.
        columns: the width of the window.
        smooth: whether the terminal can show `BLOCKS`.
        still: seconds without progress, shown in place of the rate; 0 to show the rate.
        limit: of the rate, shown beside it; None for none.
        aligned: whether a single bar begins where those of other names do.
    """
    if not several:
        label = _fitted(event.path, columns)
        label = label if aligned else label.rstrip()
        return [_row(label, event, columns, smooth, still, limit)]
    whole = _row(_fitted("total", columns), event, columns, smooth, still, limit)
    if columns < _NARROW:
        return [whole]
    file = Progressed(event.file_bytes, event.file_total, 0.0)
    return [whole, _row(_fitted(event.path, columns), file, columns, smooth)]


def _fitted(name: str, columns: int) -> str:
    return isolated(fit(printable(name), max(6, min(24, columns // 5))))


def _row(
    label: str,
    event: Progressed,
    columns: int,
    smooth: bool,
    still: float = 0.0,
    limit: float | None = None,
) -> str:
    """Return one row: label, percentage, bar, numbers."""
    from tqdm import tqdm

    numbers = _numbers(event, columns, still, limit)
    if not event.total:
        return fit(f"{label} {numbers}", columns - 1).rstrip()
    # Braces in a file name must not be taken for format fields.
    plain = label.replace("{", "{{").replace("}", "}}")
    return tqdm.format_meter(
        min(event.bytes, event.total),
        event.total,
        elapsed=0,
        ncols=columns - 1,
        ascii=not smooth,
        bar_format=f"{plain} {{percentage:3.0f}}% |{{bar}}| {numbers}",
    )


def _numbers(event: Progressed, columns: int, still: float, limit: float | None) -> str:
    """Return amount, rate and remaining time, as far as there is room."""
    parts = []
    if event.total is None:
        parts.append(f"{format_size(event.bytes)} so far")
    elif columns >= (_WIDE if limit is None else _WIDER) or not event.rate:
        parts.append(f"{format_size(event.bytes)} of {format_size(event.total)}")
    if still:
        parts.append(f"stalled for {remaining(still)}")
    elif event.rate and event.bytes >= _ENOUGH:
        word = "limit " if columns >= _NARROW else ""
        limited = "" if limit is None else f" ({word}{rate(limit)})"
        parts.append(f"{format_size(round(event.rate))}/s{limited}")
        if event.eta_s is not None and columns >= (_NARROW if limit is None else _WIDE):
            parts.append(f"{remaining(event.eta_s)} left")
    return ", ".join(parts)
