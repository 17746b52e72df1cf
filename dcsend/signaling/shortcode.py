"""The text of a short code, `number-word-word[@host]`: reads and writes it.

One side shows the code, and the user says, types or pastes it on the other side. The number names
a mailbox; the words are the secret; the host is the server of the mailbox (PROTOCOL.md, R). What
mail programs, chats, shells and terminals add is ignored. Three letters complete a word, and a
wrong letter is corrected: an error here costs nothing, while wrong words use the code up.
`words` has the list, `host` reads what follows the `@`.

Must not import anything of dcsend but `errors`, `printable` and `signaling`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from dcsend.errors import DcsendError, IncompleteCode, MalformedCode, UsageError
from dcsend.printable import printable
from dcsend.signaling import words as word_lists
from dcsend.signaling.forgiving import CONTROL_SEQUENCE, MAX_TEXT, is_clutter
from dcsend.signaling.host import read_host

__all__ = [
    *("DEFAULT_WORDS", "MAX_NUMBER", "MAX_WORDS", "MIN_WORDS"),
    *("OwnCode", "ShortCode", "completed", "is_short_code", "own", "read", "resembles_short_code"),
]

MIN_WORDS: Final = 2
"Words of the shortest code."
MAX_WORDS: Final = 8
"Words of the longest code."
DEFAULT_WORDS: Final = 2
"Words of a code if nothing else is requested: 20.7 bits, of which one guess is permitted."
MAX_NUMBER: Final = 999_999
"The largest number of a code; the smallest is 1."

_EXAMPLE: Final = "a code has a number and at least two words, such as 7-walrus-umbrella"
_LINK_HINT: Final = "copy the whole link again, up to its last character"
_MAX_SHOWN: Final = 30
"Characters of a wrong word that an error message shows."

_PERCENT: Final = re.compile(r"%(?:25)*(?=[0-9A-Fa-f]{2})")
_ENCODED: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_GAP: Final = r"[ \t\r\n]"
_COMMAND: Final = re.compile(
    rf"dcsend(?:\.exe)?['\"]?{_GAP}+"
    rf"(?:(?:receive|chat|send{_GAP}(?:.{{0,999}}?{_GAP})?--to)(?:[ \t\r\n=]+|$)|(?=['\"]?[0-9]))",
    re.IGNORECASE | re.DOTALL,
)
"""`dcsend send PATH --to` contains any path; the limit bounds the time for a text of 65536
characters. `dcsend CODE` has no name of a command."""
_OPTIONS: Final = re.compile(rf"(?<=[^ \t\r\n]){_GAP}+--[a-z].*", re.IGNORECASE | re.DOTALL)
"The options behind the code of a command, such as `--server ws://HOST`."
_NUMBER: Final = re.compile(r" *([0-9]+)")
_DASHES: Final = frozenset("⁃˗ー")
"Characters that are used as dashes, besides those of category Pd."
_FILE_NAME: Final = re.compile(r"[/\\]|\.[0-9A-Za-z]")
"Marks of a path, or of a name with an extension."
_BEGINNING: Final = re.compile(r"[0-9]{1,19}[^0-9]")
"""A number with something behind it. No other code begins so: a dial code and a session description
begin with letters, and a link has only digits, about 150."""
_ONLY_NUMBER: Final = re.compile(r"[^A-Za-z]*[0-9][^A-Za-z]*")
"Characters before the first word: the number, spaces and punctuation."
_NUMBER_ALONE: Final = re.compile(r"[0-9]{1,9}")
_LONGEST: Final = 20
"Letters of a wrong word; more are a part of another code."
_OTHER_KIND: Final = re.compile(r"d[cs][0-9]")
"The beginning of a dial code and of a session description."


@dataclass(frozen=True, slots=True)
class ShortCode:
    """A short code. Equal codes have equal texts, and vice versa.

    Raises:
        UsageError: a field is out of its range.
    """

    number: str
    "1 to 999999, decimal, without leading zeros."
    words: tuple[str, ...] = field(repr=False)
    "2 to 8 words of the list."
    host: str = ""
    "The server in its canonical form (`host.read_host`); empty if the code names none."

    def __post_init__(self) -> None:
        """Validate the fields."""
        if not re.fullmatch(r"[1-9][0-9]{0,5}", self.number):
            shown = printable(self.number)
            raise UsageError(f"the number of a code is 1 to {MAX_NUMBER}, not {shown}")
        if not MIN_WORDS <= len(self.words) <= MAX_WORDS:
            raise UsageError(f"a code has {MIN_WORDS} to {MAX_WORDS} words, not {len(self.words)}")
        if not set(self.words) <= set(word_lists.word_list()):
            raise UsageError("a word of the code is not in the list")
        if self.host and read_host(self.host) != self.host:
            raise UsageError(f"the server {printable(self.host)} is not in its canonical form")

    def text(self) -> str:
        """Return the code as it is shown.

        >>> ShortCode("7", ("walrus", "umbrella"), "public").text()
        '7-walrus-umbrella@public'
        """
        return f"{self.number}-{self.secret()}" + (f"@{self.host}" if self.host else "")

    def secret(self) -> str:
        """Return the password of the key exchange: the words joined by hyphens.

        >>> ShortCode("7", ("walrus", "umbrella"), "public").secret()
        'walrus-umbrella'
        """
        return "-".join(self.words)


class OwnCode(NamedTuple):
    """What the user requests with `--code`."""

    number: str
    "As in `ShortCode`; empty if any number will do."
    words: tuple[str, ...]
    "As in `ShortCode`."


def read(text: str) -> ShortCode:
    r"""Read a short code from typed, pasted or scanned text.

    Accepts a whole link, also if it is percent-encoded, and a whole `dcsend receive ...` command.
    White space, dashes, quotes, punctuation, invisible characters, control sequences and capitals
    are ignored, as are leading zeros of the number. PROTOCOL.md has the steps (R).

    Raises:
        IncompleteCode: words are missing, or what follows the `@`.
        MalformedCode: it is not a short code, or a word is not in the list and stands for none, or
            for several.

    >>> read("> dcsend receive '7 Walrus_Umbrela@Public'\r\n").text()
    '7-walrus-umbrella@public'
    """
    head, at, host = _body(text).partition("@")
    number, typed = _split(head)
    number = _checked_number(number)
    if len(typed) > MAX_WORDS:
        raise MalformedCode(f"the code has {len(typed)} words, at most {MAX_WORDS}", _EXAMPLE)
    words = tuple(map(_word, typed))
    if not words:
        raise IncompleteCode("the words of the code are missing", _EXAMPLE)
    if len(words) < MIN_WORDS:
        raise IncompleteCode(f"the code is not complete: {_counted(words)}", _EXAMPLE)
    return ShortCode(number, words, read_host(host) if at else "")


def resembles_short_code(text: str) -> bool:
    """Return whether *text* is probably a short code, complete or not; never raises.

    It is a number and one to eight words, of which at least half can be read; not a path and not a
    name with an extension.

    >>> resembles_short_code("7-walrus-umbrela"), resembles_short_code("dcsend receive 7-wal")
    (True, True)
    >>> resembles_short_code("7-zip.exe"), resembles_short_code("2024-photos"), resembles_short_code("7")
    (False, False, False)
    """  # noqa: E501 - one call in each example
    try:
        head = _body(text).partition("@")[0]
        if _FILE_NAME.search(head):
            return False
        number, typed = _split(head)
        _checked_number(number)
    except DcsendError:
        return False
    return _is_readable(typed)


def is_short_code(text: str) -> bool:
    """Return whether a text in the place of a code is a short code with any error; never raises.

    Where a path may stand as well, `resembles_short_code` decides. This is also a number alone or
    with anything behind it, and words without a number: so `read` reports what is wrong with them.

    >>> is_short_code("7"), is_short_code("7-wa-um"), is_short_code("walrus-umbrella")
    (True, True, True)
    >>> is_short_code("dc058000820c20"), is_short_code("film.mkv"), is_short_code(9 * "123")
    (False, False, False)
    """
    if resembles_short_code(text):
        return True
    try:
        head = _body(text).partition("@")[0]
    except DcsendError:
        return False
    spaced = _spaced(head)
    squashed = spaced.replace(" ", "")
    if _FILE_NAME.search(head) or _OTHER_KIND.match(squashed):
        return False
    if _NUMBER_ALONE.fullmatch(squashed):
        return "#" not in text  # there it is the beginning of a link that is broken into lines
    typed = _words(spaced)
    if any(len(word) > _LONGEST for word in typed):
        return False
    return _BEGINNING.match(squashed) is not None or _is_readable(typed)


def completed(typed: str) -> list[str]:
    """Return *typed* with its last word completed, in each possible way; for the Tab key.

    A hyphen follows the first word. Empty if *typed* does not end with a letter, or if no word
    begins so.

    >>> completed("7-wal"), completed("7-walrus-qui"), completed("7-walrus-")
    (['7-walrus-'], ['7-walrus-quilt'], [])
    """
    found = re.search(r"[A-Za-z]+\Z", typed)
    if found is None or "@" in typed:
        return []
    begun = typed[: found.start()]
    end = "-" if _ONLY_NUMBER.fullmatch(begun) else ""
    return [begun + word + end for word in word_lists.completions(found[0].lower())]


def own(text: str) -> OwnCode:
    """Read the code that the user has chosen with `--code`: words, perhaps with a number before.

    Only words of the list are accepted, spelt in full, since the other side completes and corrects
    by the list; as many as a code of the default length has, up to 8.

    Raises:
        UsageError: it is too short or too long, a word is not in the list, or it names a server.

    >>> own("Walrus umbrella"), own("7-walrus-umbrella").number
    (OwnCode(number='', words=('walrus', 'umbrella')), '7')
    """
    body = _body(text)
    if "@" in body:
        raise UsageError("a code of your own has no server after an @", "name it with --server")
    is_numbered = _NUMBER.match(_spaced(body)) is not None
    number, typed = _split(body) if is_numbered else ("", _words(_spaced(body)))
    if number:
        number = _checked_number(number)
    known = frozenset(word_lists.word_list())
    for word in typed:
        if word not in known:
            close = word_lists.candidates(word) or word_lists.nearest(word)
            hint = f"words that are: {', '.join(close)}" if close else "choose words of the list"
            raise UsageError(
                f"{_quoted(word)} is not in the list of words, which both sides complete by", hint
            )
    if not DEFAULT_WORDS <= len(typed) <= MAX_WORDS:
        raise UsageError(
            f"a code of your own has {DEFAULT_WORDS} to {MAX_WORDS} words: {_counted(typed)}",
            "add words of the list: one alone could be guessed",
        )
    return OwnCode(number, tuple(typed))


def _body(text: str) -> str:
    """Return *text* without control sequences, encoding, invisible characters, link and command."""
    if len(text) > MAX_TEXT:
        raise MalformedCode(f"this is not a code: it has {len(text)} characters", _EXAMPLE)
    text = _ENCODED.sub(_decoded, _PERCENT.sub("%", CONTROL_SEQUENCE.sub("", text)))
    text = "".join(char for char in text if unicodedata.category(char) != "Cf")
    text = unicodedata.normalize("NFKC", text)
    if not _spaced(text).strip(" "):
        raise IncompleteCode("the code is empty", _EXAMPLE)
    if command := _COMMAND.search(text):
        text = _OPTIONS.sub("", text[command.end() :])
        if not _spaced(text).strip(" "):
            raise MalformedCode("the code is missing at the end of the command", _EXAMPLE)
    _, mark, body = text.rpartition("#")
    if mark and not _spaced(body).strip(" "):
        raise _link_without("the part after the # is missing")
    return body


def _decoded(encoded: re.Match[str]) -> str:
    """Return percent-encoded UTF-8 decoded, and other bytes as they are."""
    try:
        return bytes.fromhex(encoded[0].replace("%", "")).decode("utf-8")
    except UnicodeDecodeError:
        return encoded[0]


def _spaced(head: str) -> str:
    """Return *head* in lower case, with a space for each character between words."""
    return "".join(" " if is_clutter(c) or c in _DASHES else c for c in head).lower()


def _split(head: str) -> tuple[str, list[str]]:
    """Return the number, of any size, and the words as they are typed.

    Raises:
        MalformedCode: there is no number at the beginning.
    """
    spaced = _spaced(head)
    found = _NUMBER.match(spaced)
    if found is None:
        if re.match(r" *https?:", head, re.IGNORECASE):
            raise _link_without("the # and what follows it are missing")
        raise MalformedCode("this is not a short code: it has no number at its beginning", _EXAMPLE)
    return found[1], _words(spaced[found.end() :])


def _is_readable(typed: Sequence[str]) -> bool:
    """Return whether these are one to eight words of which at least half can be read."""
    known = sum(bool(word_lists.candidates(word)) for word in typed[:MAX_WORDS])
    return 1 <= len(typed) <= MAX_WORDS and 2 * known >= len(typed)


def _words(spaced: str) -> list[str]:
    # The word `yoyo` is also written with a hyphen.
    return re.sub(r"(?<![^ ])yo +yo(?![^ ])", "yoyo", spaced).split()


def _checked_number(digits: str) -> str:
    number = digits.lstrip("0")
    if not number:
        raise MalformedCode(f"the number of a code is 1 to {MAX_NUMBER}, not 0", _EXAMPLE)
    most = len(str(MAX_NUMBER))
    if len(number) > most:
        raise MalformedCode(
            f"the number of the code has {len(number)} digits, at most {most}", _EXAMPLE
        )
    return number


def _word(typed: str) -> str:
    """Return the word of the list for which *typed* stands.

    Raises:
        MalformedCode: there is none, or several.
    """
    found = word_lists.candidates(typed)
    if len(found) == 1:
        return found[0]
    message = f"{_quoted(typed)} is not a word of a code"
    if found:
        raise MalformedCode(
            f"{message}: it may be {_alternatives(found)}", "ask the other side which word it is"
        )
    if len(typed) < word_lists.LEAST_LETTERS:
        letters = word_lists.LEAST_LETTERS
        raise MalformedCode(message, f"type at least {letters} letters of each word")
    close = word_lists.nearest(typed)
    raise MalformedCode(
        message,
        f"is it {_alternatives(close)}? compare it with the other side" if close else _EXAMPLE,
    )


def _quoted(typed: str) -> str:
    return f"'{printable(typed[:_MAX_SHOWN])}{'…' if len(typed) > _MAX_SHOWN else ''}'"


def _alternatives(words: Sequence[str]) -> str:
    *first, last = (f"'{word}'" for word in words)
    return f"{', '.join(first)} or {last}" if first else last


def _counted(words: Sequence[str]) -> str:
    return f"it has {len(words)} word{'' if len(words) == 1 else 's'}"


def _link_without(what: str) -> MalformedCode:
    return MalformedCode(f"the link has no code in it: {what}", _LINK_HINT)
