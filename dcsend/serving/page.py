"""The built page: where it is found, and what is in it.

Loads nothing heavy: the page is looked for before the code is shown.
"""

from __future__ import annotations

import pkgutil
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dcsend.errors import UsageError

__all__ = ["SERVICE_WORKER", "Page", "read_page"]

SERVICE_WORKER: Final = "dcsend-service-worker.js"
"The name under which a hosted page looks for the script beside it."

_IN_PACKAGE: Final = "page.html"
"What the wheel carries; see hatch_build.py."
_IN_CHECKOUT: Final = Path(__file__).resolve().parents[2] / "web-receiver" / "dist" / "index.html"
"What `make page` builds."

_POLICY: Final = re.compile(
    rb"""<meta http-equiv=["']?Content-Security-Policy["']? content="([^"]+)">""", re.IGNORECASE
)
_SCRIPT: Final = re.compile(
    rb"""<script(?=[^>]*\sid=["']?service-worker["'\s>])[^>]*>(.*?)</script>""",
    re.IGNORECASE | re.DOTALL,
)


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
        if (found := _POLICY.search(self.content)) is None:
            raise UsageError("the page has no security policy", "build it again: make page")
        from html import unescape  # a table of 2000 names, not needed before the code is shown

        return unescape(found[1].decode())

    @property
    def service_worker(self) -> bytes:
        """The script that lets a hosted copy stream files of any size to disk.

        Raises:
            UsageError: this page has none.
        """
        if (found := _SCRIPT.search(self.content)) is None:
            raise UsageError("this page has no service worker", "build it again: make page")
        return found[1].strip() + b"\n"


def read_page() -> Page:
    """Return the page of this installation; the only place that knows where it is.

    It is `page.html` in the package; where dcsend runs from a checkout there is none, and
    `web-receiver/dist/index.html` is taken, which `make page` builds.

    Raises:
        UsageError: it was never built.
    """
    try:
        # Not importlib.resources: it takes 6 ms to load, and the code is awaited.
        content = pkgutil.get_data("dcsend", _IN_PACKAGE)
    except OSError:
        content = None
    try:
        return Page(_IN_CHECKOUT.read_bytes() if content is None else content)
    except OSError:
        raise UsageError(
            "this installation has no page for browsers",
            "build it with: make page; or do without: --no-page",
        ) from None
