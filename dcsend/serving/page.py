"""The built page: its location, and the parts of its content that others need.

Imports nothing slow, because the page is read before the code is shown.
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

__all__ = ["CHECKOUT_PAGE", "PACKAGE_PAGE", "SERVICE_WORKER", "Page", "read_page"]

SERVICE_WORKER: Final = "dcsend-service-worker.js"
"File name of the service worker that a hosted page loads from its own folder."

PACKAGE_PAGE: Final = Path(__file__).resolve().parents[1] / "page.html"
"The page in an installed wheel; written by hatch_build.py."
CHECKOUT_PAGE: Final = Path(__file__).resolve().parents[2] / "web-receiver" / "dist" / "index.html"
"The page in a checkout; written by `make page`."
_STAMP: Final = "build.sha256"
"File beside `CHECKOUT_PAGE` with the SHA-256 of the page; written by scripts/page.py."

# Not compiled at import: that takes 3 ms before the code is shown.
_POLICY: Final = rb"""<meta http-equiv=["']?Content-Security-Policy["']? content="([^"]+)">"""
_SERVER: Final = rb"""<meta name=["']?dcsend-server["']? content="()">"""
_CONNECT: Final = b"connect-src 'self'"
_SCRIPT: Final = rb"""<script(?=[^>]*\sid=["']?service-worker["'\s>])[^>]*>(.*?)</script>"""


@dataclass(frozen=True, slots=True)
class Page:
    """One self-contained html file."""

    content: bytes

    @property
    def policy(self) -> str:
        """The Content-Security-Policy in the page's meta element.

        Raises:
            UsageError: the page has none, so it is not dcsend's page.
        """
        if (found := re.search(_POLICY, self.content, re.IGNORECASE)) is None:
            raise UsageError("the page has no security policy", "build it again: make page")
        from html import unescape  # slow to import

        return unescape(found[1].decode())

    def with_server(self, url: str) -> Page:
        """Return the page with a rendezvous server written into it.

        Args:
            url: of its WebSocket in canonical form, `wss://…` or `ws://…`. The policy of the page
                permits every `wss:` server, since a short code can name any, and one `ws:` server.

        Raises:
            UsageError: the page has no place for it.
        """
        content = self.content
        if url.startswith("ws://"):
            origin = "/".join(url.split("/")[:3])
            permitted = f"{_CONNECT.decode()} {origin}".encode()
            meta = re.search(_POLICY, content, re.IGNORECASE)
            if meta is None or _CONNECT not in meta[1]:
                raise UsageError("the page permits no server", "build it again: make page")
            policy = meta[1].replace(_CONNECT, permitted)
            content = content[: meta.start(1)] + policy + content[meta.end(1) :]
        if (found := re.search(_SERVER, content, re.IGNORECASE)) is None:
            raise UsageError("the page has no place for a server", "build it again: make page")
        from html import escape  # slow to import

        return Page(content[: found.start(1)] + escape(url).encode() + content[found.end(1) :])

    @property
    def service_worker(self) -> bytes:
        """The service worker script, with which a hosted page streams files to disk.

        Raises:
            UsageError: the page contains none.
        """
        if (found := re.search(_SCRIPT, self.content, re.IGNORECASE | re.DOTALL)) is None:
            raise UsageError("this page has no service worker", "build it again: make page")
        return found[1].strip() + b"\n"


def read_page(
    package: Path = PACKAGE_PAGE, checkout: Path = CHECKOUT_PAGE, *, server: str = ""
) -> Page:
    """Return the page of this installation.

    Args:
        package: the page in an installed wheel; preferred.
        checkout: the page in a checkout, with its digest in a file beside it.
        server: URL of the rendezvous server that is written into it; empty for none.

    Raises:
        UsageError: the page was never built, or was changed after it was built.
    """
    page = _read(package, checkout)
    return page.with_server(server) if server else page


def _read(package: Path, checkout: Path) -> Page:
    # Read by path: importlib.resources takes 6 ms to import, pkgutil 2 ms.
    with contextlib.suppress(OSError):
        return Page(package.read_bytes())
    with contextlib.suppress(OSError):
        content = checkout.read_bytes()
        built = checkout.with_name(_STAMP).read_text(encoding="ascii")
        if f"{hashlib.sha256(content).hexdigest()}  {checkout.name}\n" in built:
            return Page(content)
        raise UsageError(
            f"{printable(str(checkout))} is not the page that was built",
            "build it again: make page; or leave it out: --no-page",
        )
    raise UsageError(
        "this installation has no page for browsers",
        "build it with: make page; or leave it out: --no-page",
    )
