"""Count lines of code, without blank lines, comments and docstrings.

    python scripts/lines.py [FOLDER]...       default: dcsend and web-receiver/src

For each package: files, lines of code, and the share of all other lines. A string that stands alone
as a statement is a docstring.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["code_lines"]

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDERS: Final = ("dcsend", "web-receiver/src")

_NO_CODE: Final = frozenset(
    {
        *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT),
        *(tokenize.ENCODING, tokenize.ENDMARKER),
    }
)
_TYPESCRIPT: Final = re.compile(
    r"""("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|/\*.*?\*/|//[^\n]*""", re.DOTALL
)
"A string, which is kept, or a comment."


def code_lines(path: Path) -> int:
    """Return the number of lines of *path* that have code on them."""
    source = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        plain = _TYPESCRIPT.sub(lambda found: found[1] or "\n" * found[0].count("\n"), source)
        return sum(bool(line.strip()) for line in plain.splitlines())
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - set(_docstring_lines(ast.parse(source))))


def _docstring_lines(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                yield from range(node.lineno, (node.end_lineno or node.lineno) + 1)


def main(folders: list[str]) -> None:
    """Print a table."""
    total = 0
    for folder in folders or FOLDERS:
        found: dict[str, list[int]] = defaultdict(list)
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in {".py", ".ts"}:
                found[path.parent.relative_to(ROOT).as_posix()].append(code_lines(path))
        for package, counts in found.items():
            print(f"{package:36}{len(counts):4} files{sum(counts):7} lines")
            total += sum(counts)
    print(f"{'total':46}{total:7} lines")


if __name__ == "__main__":
    main(sys.argv[1:])
