"""The built page: where it is found, and what is in it.

Loads nothing heavy: the page is looked for before the code is shown.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dcsend.errors import UsageError
from dcsend.printable import printable

__all__ = ["SERVICE_WORKER", "Page", "read_page"]

SERVICE_WORKER: Final = "dcsend-service-worker.js"
"The name under which a hosted page looks for the script beside it."

_IN_PACKAGE: Final = Path(__file__).resolve().parents[1] / "page.html"
"What the wheel carries; see hatch_build.py."
_IN_CHECKOUT: Final = Path(__file__).resolve().parents[2] / "web-receiver" / "dist" / "index.html"
"What `make page` builds."
_STAMP: Final = "build.sha256"
"Beside that: a line with its digest, as scripts/page.py writes it."

# Not compiled here: that takes 3 ms, and the code is awaited.
_POLICY: Final = rb"""<meta http-equiv=["']?Content-Security-Policy["']? content="([^"]+)">"""
_SCRIPT: Final = rb"""<script(?=[^>]*\sid=["']?service-worker["'\s>])[^>]*>(.*?)</script>"""


@dataclass(frozen=True, slots=True)
class Page:
    """One self-contained html file."""

    content: bytes

    @property
    def policy(self) -> str:
        """The Content-Security-Policy that the page gives itself.

        Raises:
            UsageError: it has none, so it is not our page.
        """
        if (found := re.search(_POLICY, self.content, re.IGNORECASE)) is None:
            raise UsageError("the page has no security policy", "build it again: make page")
        from html import unescape  # a table of 2000 names, not needed before the code is shown

        return unescape(found[1].decode())

    @property
    def service_worker(self) -> bytes:
        """The script that lets a hosted copy stream files of any size to disk.

        Raises:
            UsageError: this page has none.
        """
        if (found := re.search(_SCRIPT, self.content, re.IGNORECASE | re.DOTALL)) is None:
            raise UsageError("this page has no service worker", "build it again: make page")
        return found[1].strip() + b"\n"


def read_page() -> Page:
    """Return the page of this installation; the only place that knows where it is.

    It is `page.html` in the package; where dcsend runs from a checkout there is none, and
    `web-receiver/dist/index.html` is taken, which `make page` builds.

    Raises:
        UsageError: it was never built, or was changed afterwards.
    """
    # By its path: importlib.resources takes 6 ms to load, pkgutil 2, and the code is awaited.
    with contextlib.suppress(OSError):
        return Page(_IN_PACKAGE.read_bytes())
    with contextlib.suppress(OSError):
        content = _IN_CHECKOUT.read_bytes()
        built = _IN_CHECKOUT.with_name(_STAMP).read_text(encoding="ascii")
        if f"{hashlib.sha256(content).hexdigest()}  {_IN_CHECKOUT.name}\n" in built:
            return Page(content)
        raise UsageError(
            f"{printable(str(_IN_CHECKOUT))} is not the page that was built",
            "build it again: make page; or do without: --no-page",
        )
    raise UsageError(
        "this installation has no page for browsers",
        "build it with: make page; or do without: --no-page",
    )
