"""QR codes, in the terminal and as files. The only importer of `qrcode`.

Each cell has fixed colours of the 256-colour cube, because themes redefine colours 0 to 15 only:
a code drawn in the colours of a dark theme would be inverted and unreadable. Prints nothing.

`qrcode` is imported inside the functions: its import takes 40 ms, and many runs draw no code.
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
from dcsend.printable import printable, system_reason

if TYPE_CHECKING:
    from qrcode.image.base import BaseImage
    from qrcode.image.pure import PyPNGImage
    from qrcode.main import QRCode

    _Code = QRCode[PyPNGImage]

__all__ = ["Choice", "Mode", "Request", "check_qr_file", "choose_mode", "qr_lines", "write_qr_file"]

Mode = Literal["half", "full"]
"""How modules are drawn: `half` draws two modules, one above the other, in one cell with a half
block; `full` draws one module as two cells with spaces only, for fonts that leave gaps between
rows or have no half block."""

Request = Literal["auto", "half", "full", "none"]
"The value of `--qr`."

QUIET_ZONE: Final = 4
"Modules of light border that ISO/IEC 18004 asks for."

NARROW_QUIET_ZONE: Final = 2
"Modules of light border if the window has no room for four; phones still recognise the code."

STATUS_ROWS: Final = 1
"Rows of the window that are kept free below the code for the status line."

PIXELS_PER_MODULE: Final = 10
"In a .png file."

_HALF_BLOCK: Final = "▄"
_RESET: Final = "\x1b[0m"
_DARK: Final = 16
_LIGHT: Final = 231

_Matrix = list[list[bool]]


@dataclass(frozen=True, slots=True)
class Choice:
    """The result of `choose_mode`."""

    mode: Mode | None
    "How to draw the code; None: no code is drawn."
    reason: str = ""
    "Why no code is drawn, and the next step; empty if none was requested."


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

    An explicit request overrides `NO_COLOR` and the height of the window, which can be scrolled,
    but not its width.

    Args:
        text: the content of the code.
        requested: the value of `--qr`.
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
        text: the content of the code.
        mode: how modules are drawn, see `Mode`.
        columns: the window's width, in cells.
        rows: the window's height, in cells; only the width of the light border depends on it.

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
    """Raise the errors of `write_qr_file` before a code is published.

    Raises:
        UsageError: the name ends neither in .png nor in .svg.
        DestinationError: no file can be written there.
    """
    _image_suffix(path)
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.TemporaryFile(dir=path.parent):
            pass  # only tests whether a file can be created
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error


def write_qr_file(text: str, path: Path) -> None:
    """Write *text* as a QR code to a .png or .svg file.

    The file replaces an existing one atomically. It has mode 0600, because it holds the secret.

    Raises:
        UsageError: the name has another suffix, or *text* is too long for any QR code.
        DestinationError: the file can't be written.
    """
    content = _image(text, _image_suffix(path))
    try:
        _replace(path, content)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise _unwritable(path, error) from error


def _image_suffix(path: Path) -> str:
    """Return the suffix, `.png` or `.svg`; raise UsageError for any other."""
    suffix = path.suffix.lower()
    if suffix not in (".png", ".svg"):
        raise UsageError(f"{printable(str(path))} ends neither in .png nor in .svg")
    return suffix


def _unwritable(path: Path, error: Exception) -> DestinationError:
    """Return the error for a file that can't be written."""
    reason = system_reason(error, str(error))
    return DestinationError(f"can't write {printable(str(path))}: {reason}")


def _drawable_mode(requested: Request, encoding: str) -> Mode:
    """Return `half`, unless `full` is requested or the encoding has no half blocks."""
    if requested == "full":
        return "full"
    try:
        _HALF_BLOCK.encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return "full"
    return "half"


def _too_small(needs: str) -> Choice:
    """Return the choice of drawing nothing in a window that is too small."""
    return Choice(None, f"no QR code: it needs {needs}; enlarge it or use --qr-file code.png")


def _cells(mode: Mode, version: int, quiet_zone: int) -> tuple[int, int]:
    """Return the columns and rows of a drawn code."""
    modules = 17 + 4 * version + 2 * quiet_zone
    return (modules, (modules + 1) // 2) if mode == "half" else (2 * modules, modules)


@functools.lru_cache(maxsize=1)
def _fitted(text: str) -> _Code:
    """Return the smallest code for *text*, with the highest error correction of that size.

    A larger code would have smaller modules in the same window, which a camera reads less
    reliably. A code on a screen is not damaged, so more error correction would not help.
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
    """Return a code of this error correction level with its version chosen, not yet encoded."""
    from qrcode.image.pure import PyPNGImage
    from qrcode.main import QRCode

    code: _Code = QRCode(
        error_correction=level,
        box_size=PIXELS_PER_MODULE,
        border=QUIET_ZONE,
        image_factory=PyPNGImage,
    )
    # Runs of 20 digits and more become numeric segments, with 3.3 bits per digit instead of 8.
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

    A cell of one colour is a space with a background colour: a full block would leave thin lines
    between rows in fonts with line spacing.
    """
    rows = [*matrix, [False] * len(matrix[0])] if len(matrix) % 2 else matrix
    return [
        _painted(
            [(None if up == low else low, up) for up, low in zip(upper, lower, strict=True)], " "
        )
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]


def _painted(cells: Sequence[tuple[bool | None, bool]], blank: str) -> str:
    """Return one line of cells, each with a lower half (None: no half block) and a background."""
    parts = []
    for (lower, background), run in groupby(cells):
        parts.append(f"\x1b[48;5;{_DARK if background else _LIGHT}m")
        if lower is not None:
            parts.append(f"\x1b[38;5;{_DARK if lower else _LIGHT}m")
        parts.append((blank if lower is None else _HALF_BLOCK) * len(list(run)))
    return "".join(parts) + _RESET


def _image(text: str, suffix: str) -> bytes:
    """Return the content of a .png or .svg file."""
    from qrcode.image.svg import SvgPathFillImage

    code = _fitted(text)
    code.make(fit=False)
    factory: type[BaseImage] | None = None if suffix == ".png" else SvgPathFillImage
    content = io.BytesIO()
    code.make_image(image_factory=factory).save(content)
    return content.getvalue()


def _replace(path: Path, content: bytes) -> None:
    """Write *content* to a temporary file in the same folder and rename it to *path*."""
    # mkstemp creates the file with mode 0600.
    handle, temporary = tempfile.mkstemp(prefix=".dcsend-qr-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
