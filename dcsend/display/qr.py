"""QR codes, in the terminal and as files. The only importer of `qrcode`.

Terminals invert: a code drawn in the theme's own colours is right on a light theme and
unreadable on a dark one. So every cell gets fixed colours of the 256-colour cube, which no
theme redefines (themes change colours 0 to 15 only). Prints nothing itself.

`qrcode` is imported inside the functions: it takes 40 ms, and most runs show no code.
"""

from __future__ import annotations

import errno
import functools
import io
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from dcsend.errors import DestinationError, UsageError
from dcsend.printable import printable

if TYPE_CHECKING:
    from qrcode.image.base import BaseImage
    from qrcode.image.pil import PilImage
    from qrcode.image.pure import PyPNGImage
    from qrcode.main import QRCode

    _Code = QRCode[PilImage | PyPNGImage]

__all__ = ["Choice", "Mode", "Request", "check_qr_file", "choose_mode", "qr_lines", "write_qr_file"]

Mode = Literal["half", "full"]
"""How modules become cells: `half` draws two, one above the other, in one cell with half
blocks; `full` draws one in two cells with spaces only, for terminals and fonts that leave gaps
between rows or lack the blocks."""

Request = Literal["auto", "half", "full", "none"]
"What the user asked for."

QUIET_ZONE: Final = 4
"Modules of light border that ISO/IEC 18004 asks for."

NARROW_QUIET_ZONE: Final = 2
"Modules of light border where the window has no room for four; phones still find the code."

STATUS_ROWS: Final = 1
"Rows of the window kept free below the code for the line that says what is going on."

PIXELS_PER_MODULE: Final = 10
"In a .png; 0.4 to 0.5 mm on common screens at 100 %, plenty for a camera."

_HALF_BLOCK: Final = "▄"
_RESET: Final = "\x1b[0m"
_DARK: Final = 16
_LIGHT: Final = 231

_Matrix = list[list[bool]]


@dataclass(frozen=True, slots=True)
class Choice:
    """What `choose_mode` found."""

    mode: Mode | None
    "How to draw the code; None: don't."
    reason: str = ""
    "Why it can't be shown, and what can be done; empty where nobody need be told."


def choose_mode(
    text: str,
    requested: Request,
    *,
    columns: int,
    rows: int,
    encoding: str,
    is_tty: bool,
    no_color: bool,
    term: str,
) -> Choice:
    """Decide whether and how *text* can be shown as a QR code in a terminal.

    What was asked for outright is done if the window is wide enough: it overrides
    `NO_COLOR`, and who asks for it can scroll or make the window higher.

    Args:
        text: what the code will say.
        requested: the user's wish.
        columns: the window's width, in cells.
        rows: the window's height, in cells.
        encoding: of the stream that the code is written to.
        is_tty: whether that stream is a terminal.
        no_color: whether `NO_COLOR` is set.
        term: the value of `TERM`.

    Raises:
        UsageError: *text* is too long for any QR code.
    """
    if requested == "none":
        return Choice(None)
    if not is_tty:
        return Choice(None, "no QR code: the output is not a terminal; try --qr-file code.png")
    if term == "dumb":
        return Choice(None, "no QR code: TERM=dumb has no colours; try --qr-file code.png")
    if no_color and requested == "auto":
        return Choice(None, "no QR code: NO_COLOR is set; try --qr half or --qr-file code.png")
    mode = _drawable_mode(requested, encoding)
    needed_columns, needed_rows = _cells(mode, _fitted(text).version, NARROW_QUIET_ZONE)
    if needed_columns > columns:
        return _too_small(f"{needed_columns} columns and the window has {columns}")
    if needed_rows + STATUS_ROWS > rows and requested == "auto":
        return _too_small(f"{needed_rows + STATUS_ROWS} rows and the window has {rows}")
    return Choice(mode)


def qr_lines(text: str, *, mode: Mode, columns: int, rows: int) -> list[str]:
    """Draw *text* as a QR code.

    Args:
        text: what the code says.
        mode: how modules become cells, see `Mode`.
        columns: the window's width, in cells.
        rows: the window's height, in cells; decides only how wide the light border is.

    Returns:
        One string per row, without line ends; each sets all its colours and resets them.

    Raises:
        UsageError: the window is too narrow, or *text* is too long for any QR code.
    """
    version = _fitted(text).version
    quiet_zone = QUIET_ZONE
    needed_columns, needed_rows = _cells(mode, version, quiet_zone)
    if needed_columns > columns or needed_rows + STATUS_ROWS > rows:
        quiet_zone = NARROW_QUIET_ZONE
        needed_columns, _ = _cells(mode, version, quiet_zone)
    if needed_columns > columns:
        raise UsageError(
            f"the QR code needs {needed_columns} columns and the window has {columns}",
            "make the window wider, or use --qr-file code.png",
        )
    matrix = _matrix(text, quiet_zone)
    return _half_lines(matrix) if mode == "half" else _full_lines(matrix)


def check_qr_file(path: Path) -> None:
    """Refuse what `write_qr_file` would refuse, as long as no code is shown yet.

    Raises:
        UsageError: the name does not end as it must.
        DestinationError: no file can be written there.
    """
    _image_suffix(path)
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.TemporaryFile(dir=path.parent):
            pass  # asked for only to see whether it can be had
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error


def write_qr_file(text: str, path: Path) -> None:
    """Write *text* as a QR code to a .png or .svg file.

    The file appears whole or not at all, and replaces one of the same name. Only its owner
    may read it: it holds the secret.

    Raises:
        UsageError: the name ends otherwise, or *text* is too long for any QR code.
        DestinationError: the file can't be written.
    """
    content = _image(text, _image_suffix(path))
    try:
        _replace(path, content)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise _unwritable(path, error) from error


def _image_suffix(path: Path) -> str:
    """Return `.png` or `.svg`; refuse every other."""
    suffix = path.suffix.lower()
    if suffix not in (".png", ".svg"):
        raise UsageError(f"{printable(str(path))} ends neither in .png nor in .svg")
    return suffix


def _unwritable(path: Path, error: Exception) -> DestinationError:
    """Return the refusal of a file that the system refuses."""
    reason = getattr(error, "strerror", None) or str(error)
    return DestinationError(f"can't write {printable(str(path))}: {reason}")


def _drawable_mode(requested: Request, encoding: str) -> Mode:
    """Return the mode to draw in: half blocks, unless unwanted or not in the code page."""
    if requested == "full":
        return "full"
    try:
        _HALF_BLOCK.encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return "full"
    return "half"


def _too_small(needs: str) -> Choice:
    """Return the choice of showing nothing in a window that lacks something."""
    return Choice(None, f"no QR code: it needs {needs}; make it larger or use --qr-file code.png")


def _cells(mode: Mode, version: int, quiet_zone: int) -> tuple[int, int]:
    """Return how many columns and rows a code takes."""
    modules = 17 + 4 * version + 2 * quiet_zone
    return (modules, (modules + 1) // 2) if mode == "half" else (2 * modules, modules)


@functools.lru_cache(maxsize=1)
def _fitted(text: str) -> _Code:
    """Return the smallest code for *text*, with the most error correction of that size.

    A larger code has smaller modules in the same window, which costs a camera more than
    error correction gains it; damage is not what happens to a code on a screen.
    """
    from qrcode import constants
    from qrcode.exceptions import DataOverflowError

    try:
        best = _fitted_at(text, constants.ERROR_CORRECT_L)
    except (DataOverflowError, ValueError) as error:
        raise UsageError(f"a QR code has no room for {len(text)} characters") from error
    for level in (constants.ERROR_CORRECT_H, constants.ERROR_CORRECT_Q, constants.ERROR_CORRECT_M):
        try:
            better = _fitted_at(text, level)
        except (DataOverflowError, ValueError):
            continue
        if better.version == best.version:
            return better
    return best


def _fitted_at(text: str, level: int) -> _Code:
    """Return a code of this error correction level whose version is chosen, not yet drawn."""
    from qrcode.main import QRCode

    code: _Code = QRCode(error_correction=level, box_size=PIXELS_PER_MODULE, border=QUIET_ZONE)
    # Runs of 20 digits and more become numeric segments: 3.3 bits a digit instead of 8.
    code.add_data(text, optimize=20)
    code.best_fit()
    return code


def _matrix(text: str, quiet_zone: int) -> _Matrix:
    """Return the modules with their border, True for dark."""
    code = _fitted(text)
    code.make(fit=False)
    inner = [[bool(module) for module in row] for row in code.modules]
    size = len(inner) + 2 * quiet_zone
    light = [[False] * size for _ in range(quiet_zone)]
    side = [False] * quiet_zone
    return [*light, *(side + row + side for row in inner), *light]


def _full_lines(matrix: _Matrix) -> list[str]:
    """Draw each module as two spaces."""
    return [_painted([(None, dark) for dark in row], "  ") for row in matrix]


def _half_lines(matrix: _Matrix) -> list[str]:
    """Draw two rows of modules per line.

    A cell of one colour is a space with a background: a glyph, even the full block, leaves
    hairlines between rows in fonts with line spacing, a background does not.
    """
    rows = [*matrix, [False] * len(matrix[0])] if len(matrix) % 2 else matrix
    return [
        _painted(
            [(None if up == low else low, up) for up, low in zip(upper, lower, strict=True)], " "
        )
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]


def _painted(cells: Sequence[tuple[bool | None, bool]], blank: str) -> str:
    """Return one line of cells, each a lower half (None: no half block) and a background."""
    parts = []
    for (lower, background), run in groupby(cells):
        parts.append(f"\x1b[48;5;{_DARK if background else _LIGHT}m")
        if lower is not None:
            parts.append(f"\x1b[38;5;{_DARK if lower else _LIGHT}m")
        parts.append((blank if lower is None else _HALF_BLOCK) * len(list(run)))
    return "".join(parts) + _RESET


def _image(text: str, suffix: str) -> bytes:
    """Return the content of a .png or .svg file."""
    from qrcode.image.pil import PilImage
    from qrcode.image.svg import SvgPathFillImage

    code = _fitted(text)
    code.make(fit=False)
    factory: type[BaseImage] = PilImage if suffix == ".png" else SvgPathFillImage
    content = io.BytesIO()
    code.make_image(image_factory=factory).save(content)
    return content.getvalue()


def _replace(path: Path, content: bytes) -> None:
    """Write *content* beside *path*, then put it in its place."""
    # mkstemp gives mode 0600.
    handle, temporary = tempfile.mkstemp(prefix=".dcsend-qr-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
