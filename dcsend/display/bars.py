"""Progress as text: a bar for everything, one for the file on the way. The importer of tqdm.

Of tqdm only the drawing is used: rate and time left come with the event, and where the rows
stand is up to `screen`, which knows about typed lines.
"""

from __future__ import annotations

from dcsend.display.wording import duration, fit, size
from dcsend.printable import printable
from dcsend.session.events import Progressed

__all__ = ["BLOCKS", "bar_rows"]

BLOCKS = " ▏▎▍▌▋▊▉█"
"What a smooth bar is made of."

_WIDE = 70
"Columns from which there is room for everything."
_NARROW = 50
"Columns below which the file's own bar is left out."
_ENOUGH = 100_000
"Bytes below which rate and time left are a wild guess."


def bar_rows(event: Progressed, *, several: bool, columns: int, smooth: bool) -> list[str]:
    """Return one or two rows, each narrower than the window.

    Args:
        event: how far it is.
        several: whether there is more than one file, so that a second bar helps.
        columns: the width of the window.
        smooth: whether the terminal can show `BLOCKS`.
    """
    if not several:
        return [_row(_fitted(event.path, columns).rstrip(), event, columns, smooth)]
    whole = _row(_fitted("total", columns), event, columns, smooth)
    if columns < _NARROW:
        return [whole]
    file = Progressed(event.file_bytes, event.file_total, 0.0)
    return [whole, _row(_fitted(event.path, columns), file, columns, smooth)]


def _fitted(name: str, columns: int) -> str:
    return fit(printable(name), max(6, min(24, columns // 5)))


def _row(label: str, event: Progressed, columns: int, smooth: bool) -> str:
    """Draw one row: label, share, bar, numbers."""
    from tqdm import tqdm

    numbers = _numbers(event, columns)
    if not event.total:
        return fit(f"{label} {numbers}", columns - 1).rstrip()
    # Braces in a file's name are no fields.
    plain = label.replace("{", "{{").replace("}", "}}")
    return tqdm.format_meter(
        min(event.bytes, event.total),
        event.total,
        elapsed=0,
        ncols=columns - 1,
        ascii=not smooth,
        bar_format=f"{plain} {{percentage:3.0f}}% |{{bar}}| {numbers}",
    )


def _numbers(event: Progressed, columns: int) -> str:
    """Say as much in numbers as there is room for."""
    parts = []
    if event.total is None:
        parts.append(f"{size(event.bytes)} so far")
    elif columns >= _WIDE or not event.rate:
        parts.append(f"{size(event.bytes)} of {size(event.total)}")
    if event.rate and event.bytes >= _ENOUGH:
        parts.append(f"{size(round(event.rate))}/s")
        if event.eta is not None and columns >= _NARROW:
            parts.append(f"{duration(event.eta)} left")
    return ", ".join(parts)
