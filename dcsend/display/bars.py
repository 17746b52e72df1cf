"""The progress bars: one for everything, one for the file on the way. The importer of tqdm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Never, TextIO

from dcsend.printable import printable
from dcsend.session.events import Progressed

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = ["Bars"]

_NARROW = 50
"Columns below which the file's own bar is left out and names are cut short."


class Bars:
    """Two bars at the bottom of a terminal; lines are written above them."""

    def __init__(self, stream: TextIO, *, several: bool, columns: int, unicode: bool) -> None:
        """Prepare; nothing is drawn before the first update.

        Args:
            stream: a terminal.
            several: whether there is more than one file, so that a second bar helps.
            columns: width of the terminal.
            unicode: whether it can show block characters.
        """
        self._stream = stream
        self._several = several and columns >= _NARROW
        self._name_width = max(8, min(28, columns // 3))
        self._unicode = unicode
        self._all: tqdm[Never] | None = None
        self._file: tqdm[Never] | None = None
        self._path: str | None = None

    def update(self, event: Progressed) -> None:
        """Show how far it is."""
        if self._all is None:
            self._all = self._bar("total", event.total, position=0)
        self._move(self._all, event.bytes)
        if not self._several:
            return
        if self._file is None:
            self._file = self._bar("", event.file_total, position=1)
        if event.path != self._path:
            self._path = event.path
            self._file.reset(total=event.file_total)
            self._file.set_description_str(self._fit(event.path), refresh=False)
        self._move(self._file, event.file_bytes)

    def write(self, line: str) -> None:
        """Write a line above the bars."""
        from tqdm import tqdm

        tqdm.write(line, file=self._stream)

    def close(self) -> None:
        """Take the bars away; the summary line says it all."""
        for bar in (self._file, self._all):
            if bar is not None:
                bar.close()
        self._all = self._file = None

    def _bar(self, name: str, total: int | None, position: int) -> tqdm[Never]:
        from tqdm import tqdm

        return tqdm(
            desc=name,
            total=total,
            unit="B",
            unit_scale=True,
            dynamic_ncols=True,
            leave=False,
            position=position,
            file=self._stream,
            ascii=not self._unicode,
            # Every event is drawn: events are few already.
            mininterval=0,
            miniters=0,
        )

    @staticmethod
    def _move(bar: tqdm[Never], count: int) -> None:
        bar.update(max(0, count - bar.n))
        bar.refresh()

    def _fit(self, path: str) -> str:
        name = printable(path)
        width = self._name_width
        return name if len(name) <= width else "…"[: self._unicode] + name[-(width - 1) :]
