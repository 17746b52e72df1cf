"""QR codes, read back by an independent decoder.

The decoder is OpenCV's `QRCodeDetectorAruco`: its `QRCodeDetector` does not find one flawless code
in fifty, whatever its size.
"""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
import pyte
import pytest

from dcsend.display.qr import (
    QUIET_ZONE,
    Choice,
    Mode,
    Request,
    choose_mode,
    qr_lines,
    write_qr_file,
)
from dcsend.errors import DestinationError, UsageError
from dcsend.signaling.dialcode import Address, DialCode

Pixels = npt.NDArray[np.uint8]
Theme = Literal["dark", "light"]

PAGE = "https://dcsend.example/"
PORT, EXPIRES = 40417, 1_800_000_000
ADDRESSES = (Address("192.168.178.23", PORT), Address("2001:db8:12:34:5678:9abc:def0:1", PORT))
LINK = DialCode(bytes(range(100, 116)), bytes(range(200, 232)), PORT, ADDRESSES, EXPIRES).link(PAGE)
"What a sender with one IPv4 and one IPv6 address shows."

WINDOWS: dict[Mode, tuple[int, int]] = {"half": (80, 24), "full": (100, 50)}
"Columns and rows that each mode fits."

THEMES = {
    "dark": {"bg": "101418", "fg": "d0d0d0"},
    "light": {"bg": "fdf6e3", "fg": "303030"},
}


def scanned(pixels: Pixels) -> str:
    """Decode a picture; empty if there is no code in it."""
    text, _corners, _straight = cv2.QRCodeDetectorAruco().detectAndDecode(pixels)
    return text


def shown(lines: list[str], columns: int, rows: int) -> pyte.Screen:
    """Print *lines* in a terminal."""
    screen = pyte.Screen(columns, rows)
    pyte.Stream(screen).feed("\r\n".join(lines) + "\r\nstatus")
    return screen


def modules(text: str) -> list[list[bool]]:
    """Return the modules of a code as it is drawn on a large terminal, True for dark."""
    lines = qr_lines(text, mode="full", columns=300, rows=150)
    screen = shown(lines, 300, 150)
    size, border = len(lines) - 2 * QUIET_ZONE, QUIET_ZONE
    cells = range(border, border + size)
    return [[screen.buffer[row][2 * column].bg != "ffffff" for column in cells] for row in cells]


def version(text: str) -> int:
    """Return the version of a code, from the number of its modules (ISO/IEC 18004)."""
    return (len(modules(text)) - 17) // 4


def photographed(screen: pyte.Screen, theme: Theme) -> Pixels:
    """Paint what a terminal shows in cells of 8 by 16 pixels."""
    pixels = np.zeros((screen.lines * 16, screen.columns * 8, 3), np.uint8)
    for row in range(screen.lines):
        for column in range(screen.columns):
            cell = screen.buffer[row][column]
            ink, paper = (
                list(bytes.fromhex(THEMES[theme][place] if name == "default" else name))
                for place, name in (("fg", cell.fg), ("bg", cell.bg))
            )
            area = pixels[row * 16 : row * 16 + 16, column * 8 : column * 8 + 8]
            area[:] = paper
            inked = {" ": (0, 0), "▀": (0, 8), "▄": (8, 16)}.get(cell.data, (5, 11))
            area[slice(*inked)] = ink
    return pixels


def choose(
    requested: Request = "auto",
    *,
    columns: int = 80,
    rows: int = 24,
    encoding: str = "utf-8",
    is_tty: bool = True,
    no_color: bool = False,
    term: str = "xterm-256color",
) -> Choice:
    """Choose a mode for the link in an ordinary terminal, except for the arguments."""
    return choose_mode(
        LINK,
        requested,
        columns=columns,
        rows=rows,
        encoding=encoding,
        is_tty=is_tty,
        no_color=no_color,
        term=term,
    )


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("mode", ["half", "full"])
def test_code_on_a_terminal_is_read_back(mode: Mode, theme: Theme) -> None:
    columns, rows = WINDOWS[mode]
    screen = shown(qr_lines(LINK, mode=mode, columns=columns, rows=rows), columns, rows)
    assert scanned(photographed(screen, theme)) == LINK


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_code_with_a_narrow_border_is_read_back(theme: Theme) -> None:
    lines = qr_lines(LINK, mode="half", columns=41, rows=24)
    screen = shown(lines, 80, 24)
    assert scanned(photographed(screen, theme)) == LINK


def test_code_in_the_colours_of_a_dark_theme_would_not_be_read() -> None:
    # The bug that the fixed colours are there for; also shows that the tests above can fail.
    plain = [
        re.sub(r"\x1b\[[0-9;]*m", "", line)
        for line in qr_lines(LINK, mode="half", columns=80, rows=24)
    ]
    assert scanned(photographed(shown(plain, 80, 24), "dark")) == ""


def test_code_for_two_addresses_fits_an_ordinary_window_with_a_line_to_spare() -> None:
    lines = qr_lines(LINK, mode="half", columns=80, rows=24)
    assert len(lines) == 23
    screen = shown(lines, 80, 24)
    assert screen.buffer[0][0].bg == "ffffff"  # nothing has scrolled away
    assert screen.display[23].strip() == "status"


def test_code_for_two_addresses_is_not_above_version_6() -> None:
    assert version(LINK) <= 6


def test_code_for_as_many_addresses_as_a_listener_publishes_fits_an_ordinary_window() -> None:
    mapped = Address("255.255.255.254", 65535)
    plain = [Address(f"192.168.{net}.23", PORT) for net in (1, 2, 3)]
    addresses = (*plain, ADDRESSES[1], mapped)
    full = DialCode(b"\xff" * 16, b"\xff" * 32, PORT, addresses, 2**32 - 1).link(PAGE)
    assert version(full) <= 6
    lines = qr_lines(full, mode="half", columns=80, rows=24)
    screen = shown(lines, 80, 24)
    assert screen.display[len(lines)].strip() == "status"
    assert screen.buffer[0][0].bg == "ffffff"  # nothing has scrolled away
    assert scanned(photographed(screen, "dark")) == full


def test_error_correction_is_the_best_that_costs_no_size() -> None:
    # Version 1 holds 41 digits at level L, 34 at M, 27 at Q, 17 at H. The level is in the first two
    # modules of row 8, masked with 10.
    levels = {41: (True, True), 34: (True, False), 27: (False, True), 17: (False, False)}
    for digits, level in levels.items():
        text = "7" * digits
        assert (version(text), tuple(modules(text)[8][:2])) == (1, level)


def test_digits_of_a_link_are_packed_as_digits() -> None:
    as_bytes = LINK.replace("1", "x").replace("2", "y").replace("3", "z").replace("4", "w")
    assert version(LINK) < version(as_bytes)


@pytest.mark.parametrize(
    ("columns", "rows", "width", "height"),
    [(80, 24, 45, 23), (45, 24, 45, 23), (44, 24, 41, 21), (80, 23, 41, 21), (41, 10, 41, 21)],
)
def test_border_is_four_modules_where_it_fits_and_two_elsewhere(
    columns: int, rows: int, width: int, height: int
) -> None:
    lines = qr_lines(LINK, mode="half", columns=columns, rows=rows)
    visible = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]
    assert ({len(line) for line in visible}, len(lines)) == ({width}, height)


@pytest.mark.parametrize("mode", ["half", "full"])
def test_border_is_light_all_round(mode: Mode) -> None:
    columns, rows = WINDOWS[mode]
    screen = shown(qr_lines(LINK, mode=mode, columns=columns, rows=rows), columns, rows)
    width, height = (45, 23) if mode == "half" else (90, 45)
    step = 1 if mode == "half" else 2
    border = {(row, column) for row in (0, 1) for column in range(width)}
    border |= {(height - 1, column) for column in range(width)}
    border |= {(row, column) for row in range(height) for column in range(4 * step)}
    border |= {(row, width - 1 - column) for row in range(height) for column in range(4 * step)}
    assert {(screen.buffer[r][c].data, screen.buffer[r][c].bg) for r, c in border} == {
        (" ", "ffffff")
    }


@pytest.mark.parametrize("mode", ["half", "full"])
def test_colours_end_with_the_line(mode: Mode) -> None:
    columns, rows = WINDOWS[mode]
    lines = qr_lines(LINK, mode=mode, columns=columns, rows=rows)
    assert all(line.endswith("\x1b[0m") and "\n" not in line for line in lines)
    screen = shown(lines, columns, rows)
    behind = {screen.buffer[row][columns - 1].bg for row in range(rows)}
    assert behind == {"default"}


@pytest.mark.parametrize(("mode", "needed"), [("half", 41), ("full", 82)])
def test_code_that_would_be_wrapped_is_refused(mode: Mode, needed: int) -> None:
    assert qr_lines(LINK, mode=mode, columns=needed, rows=50)
    with pytest.raises(UsageError, match=f"needs {needed} columns and the window has") as refusal:
        qr_lines(LINK, mode=mode, columns=needed - 1, rows=50)
    assert "--qr-file" in refusal.value.hint


def test_text_too_long_for_any_code_is_refused() -> None:
    with pytest.raises(UsageError, match="no room for 9000 characters"):
        qr_lines("9" * 9000, mode="half", columns=999, rows=999)


def test_choice_is_half_blocks_in_an_ordinary_terminal() -> None:
    assert choose() == Choice("half")


@pytest.mark.parametrize(
    ("encoding", "mode"),
    [
        ("utf-8", "half"),
        ("cp437", "half"),
        ("cp850", "half"),
        ("cp1252", "full"),
        ("ascii", "full"),
        ("no-such-encoding", "full"),
    ],
)
def test_choice_is_spaces_where_the_code_page_has_no_half_blocks(encoding: str, mode: Mode) -> None:
    choice = choose(encoding=encoding, columns=100, rows=50)
    assert choice.mode == mode
    columns, rows = WINDOWS[mode]
    for line in qr_lines(LINK, mode=mode, columns=columns, rows=rows):
        line.encode("ascii" if mode == "full" else encoding)


def test_choice_asked_for_is_taken() -> None:
    assert choose("full", columns=100, rows=50).mode == "full"
    assert choose("half", columns=100, rows=50).mode == "half"
    assert choose("half", encoding="cp1252", columns=100).mode == "full"


def test_choice_of_no_code_needs_no_reason() -> None:
    assert choose("none") == Choice(None, "")


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        (choose(columns=40), "needs 41 columns and the window has 40"),
        (choose("full"), "needs 82 columns and the window has 80"),
        (choose(rows=21), "needs 22 rows and the window has 21"),
        (choose(is_tty=False), "not a terminal"),
        (choose("half", is_tty=False), "not a terminal"),
        (choose(term="dumb"), "TERM=dumb"),
        (choose("full", term="dumb"), "TERM=dumb"),
        (choose(no_color=True), "NO_COLOR"),
    ],
)
def test_choice_of_no_code_names_the_reason_and_the_file_option(
    choice: Choice, reason: str
) -> None:
    assert choice.mode is None
    assert reason in choice.reason
    assert "--qr-file" in choice.reason


def test_explicit_wish_overrides_no_color_and_a_low_window() -> None:
    assert choose("half", no_color=True).mode == "half"
    assert choose("half", rows=10).mode == "half"


@pytest.mark.parametrize("columns", range(35, 100, 3))
@pytest.mark.parametrize("requested", ["auto", "half", "full"])
def test_what_was_chosen_can_be_drawn(columns: int, requested: Request) -> None:
    if mode := choose(requested, columns=columns).mode:
        assert qr_lines(LINK, mode=mode, columns=columns, rows=24)


def test_png_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "code.png"
    write_qr_file(LINK, path)
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG")
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert pixels is not None
    assert scanned(pixels.astype(np.uint8)) == LINK


@pytest.mark.full
def test_png_is_written_without_pillow(tmp_path: Path) -> None:
    path = tmp_path / "code.png"
    program = (
        "import sys; sys.modules['PIL'] = None; from pathlib import Path;"
        "from dcsend.display.qr import write_qr_file; write_qr_file('text', Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True, timeout=60)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_svg_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "code.SVG"
    write_qr_file(LINK, path)
    content = path.read_text(encoding="utf-8")
    assert 'fill="white"' in content
    size = re.search(r'viewBox="0 0 (\d+) \1"', content)
    assert size is not None
    squares = re.findall(r"M(\d+),(\d+)H(\d+)V(\d+)H\1z", content)
    assert squares
    pixels = np.full((int(size[1]) * 8,) * 2, 255, np.uint8)
    for left, top, right, bottom in (map(int, square) for square in squares):
        pixels[top * 8 : bottom * 8, left * 8 : right * 8] = 0
    assert scanned(pixels) == LINK


@pytest.mark.parametrize("name", ["code", "code.jpg", "code.png.txt", ".png"])
def test_file_of_another_kind_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"ends neither in \.png nor in \.svg"):
        write_qr_file(LINK, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["missing/code.png", "directory.png", "file/code.svg", "a\0.png"])
def test_file_that_cannot_be_written_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "directory.png").mkdir()
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DestinationError) as refusal:
        write_qr_file(LINK, tmp_path / name)
    assert name.replace("\0", "\\x00") in refusal.value.message
    assert sorted(tmp_path.rglob("*")) == before


def test_file_replaces_an_older_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "code.png"
    path.write_bytes(b"old" * 100_000)
    write_qr_file(LINK, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits")
def test_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "code.png"
    write_qr_file(LINK, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_link_in_place_of_the_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "private").write_text("mine")
    (tmp_path / "code.png").symlink_to("private")
    write_qr_file(LINK, tmp_path / "code.png")
    assert not (tmp_path / "code.png").is_symlink()
    assert (tmp_path / "private").read_text() == "mine"


@pytest.mark.full
def test_qrcode_is_not_loaded_before_a_code_is_drawn() -> None:
    program = "import sys, dcsend.display.qr; print('qrcode' in sys.modules, 'png' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert found.stdout.split() == [b"False", b"False"]
