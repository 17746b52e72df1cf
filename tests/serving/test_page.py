"""The built page: its parts, and where it is located."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from dcsend.errors import UsageError
from dcsend.serving.page import CHECKOUT_PAGE, PACKAGE_PAGE, Page, read_page
from dcsend.serving.server import PageServer
from tests.serving.sample_page import PAGE, POLICY


def test_policy_is_read_from_the_meta_element() -> None:
    assert PAGE.policy == POLICY


def test_page_without_a_policy_is_not_served() -> None:
    with pytest.raises(UsageError, match="no security policy"):
        PageServer(Page(b"<!doctype html><title>something else</title>"))


def test_service_worker_is_extracted_unchanged() -> None:
    script = PAGE.service_worker.decode()
    assert script.startswith('self.addEventListener("fetch"')
    assert "1 < 2 && 3 > 2" in script
    assert script.endswith("});\n")


@pytest.mark.parametrize(
    "html", [b"<script>1</script>", b"<script type=module src=service-worker></script>", b""]
)
def test_page_without_a_service_worker_is_refused(html: bytes) -> None:
    with pytest.raises(UsageError, match="has no service worker"):
        _ = Page(html).service_worker


HOSTED = Page(
    b"""<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="connect-src 'self' wss:; base-uri 'none'">
<meta name="dcsend-server" content="">
<script>const other = "connect-src 'self'";</script>"""
)


def test_server_over_tls_is_written_into_the_page_and_its_policy_stays() -> None:
    page = HOSTED.with_server("wss://rendezvous.example.org/v1")
    assert b'<meta name="dcsend-server" content="wss://rendezvous.example.org/v1">' in page.content
    assert page.policy == HOSTED.policy


def test_policy_permits_the_one_server_without_tls_that_is_written_into_the_page() -> None:
    page = HOSTED.with_server("ws://192.0.2.7:4000/v1")
    assert page.policy == "connect-src 'self' ws://192.0.2.7:4000 wss:; base-uri 'none'"
    assert b"other = \"connect-src 'self'\"" in page.content


def test_server_can_not_end_its_attribute() -> None:
    page = HOSTED.with_server('wss://example.org/"><script>')
    assert b"<script>1" not in page.content
    assert b'content="wss://example.org/&quot;&gt;&lt;script&gt;">' in page.content


@pytest.mark.parametrize("url", ["wss://example.org/v1", "ws://example.org/v1"])
def test_page_without_a_place_for_a_server_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="server") as caught:
        PAGE.with_server(url)
    assert "make page" in caught.value.hint


def test_server_is_written_into_the_page_that_is_read(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(HOSTED.content)
    assert read_page(path).content == HOSTED.content
    page = read_page(path, server="wss://example.org/v1")
    assert page.content == HOSTED.with_server("wss://example.org/v1").content


def test_page_of_the_package_is_preferred(tmp_path: Path) -> None:
    for name in ("page", "index"):
        (tmp_path / f"{name}.html").write_text(name)
    assert read_page(tmp_path / "page.html", tmp_path / "index.html").content == b"page"


def test_page_of_the_checkout_is_taken_where_the_package_has_none(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_bytes(b"checkout")
    digest = hashlib.sha256(b"checkout").hexdigest()
    (tmp_path / "build.sha256").write_text(f"{'0' * 64}  sources\n{digest}  index.html\n")
    assert read_page(tmp_path / "missing.html", tmp_path / "index.html").content == b"checkout"


def test_page_that_was_changed_after_it_was_built_is_refused(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"checkout").hexdigest()
    (tmp_path / "build.sha256").write_text(f"{'0' * 64}  sources\n{digest}  index.html\n")
    (tmp_path / "index.html").write_bytes(b"changed")
    with pytest.raises(UsageError, match="is not the page that was built") as caught:
        read_page(tmp_path / "missing.html", tmp_path / "index.html")
    assert "make page" in caught.value.hint


def test_error_of_a_missing_page_has_a_hint(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_page(tmp_path / "missing.html", tmp_path / "index.html")
    assert "make page" in caught.value.hint
    assert "--no-page" in caught.value.hint


def test_default_locations_are_those_of_wheels_and_checkouts() -> None:
    root = Path(__file__).resolve().parents[2]
    assert root / "dcsend" / "page.html" == PACKAGE_PAGE
    assert root / "web-receiver" / "dist" / "index.html" == CHECKOUT_PAGE
