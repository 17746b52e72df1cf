"""A network without IPv4: the page is served, and transfers run, over IPv6 alone."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dcsend.signaling.dialcode import decode
from tests.support.browsers import Browser, require
from tests.support.launching import NAMES
from tests.support.netns import Host, MakeLan
from tests.support.page import Page, random_file
from tests.support.processes import PATIENCE, ROOT, digest

Events = dict[str, dict[str, Any]]


def started(host: Host, *arguments: str | Path) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """Start dcsend on a host; return it, and its code."""
    process = host.popen(
        [sys.executable, "-m", "dcsend", *arguments, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def ended(process: subprocess.Popen[str]) -> Events:
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, (out, err)
    return {event["event"]: event for event in map(json.loads, out.splitlines())}


@pytest.mark.parametrize("name", NAMES)
async def test_page_receives_and_sends_over_ipv6(
    name: str, lan: MakeLan, tmp_path: Path, served: None
) -> None:
    require(name)
    computer, phone = lan(2, ipv4=False).hosts
    # Both browsers choose the source address of the default route.
    phone.run(["ip", "-6", "route", "add", "default", "dev", "eth0"])
    if name == "chromium":
        # Without any IPv4 address it has no WebRTC at all, on Linux: it hides each address behind a
        # name of multicast DNS, for which it binds [ff02::fb]:5353 without the interface, EINVAL.
        # An address that leads nowhere, as systems give themselves without DHCP, is enough.
        phone.run(["ip", "address", "add", "169.254.7.7/16", "dev", "eth0", "scope", "link"])
    file = random_file(tmp_path / "file", 2_000_000)
    browser = await asyncio.to_thread(Browser, name, namespace=phone.namespace)
    try:
        page = Page(await browser.open_tab(tmp_path / "downloads"))
        sender, code = started(computer, "send", file)
        assert {address.host for address in decode(code["code"]).addresses} == {computer.ipv6}
        assert code["link"].startswith(f"http://[{computer.ipv6}]:")
        await page.receive(code["link"])
        assert digest((await page.saved()).path) == digest(file)
        assert ended(sender)["connected"]["family"] == "IPv6"
        receiver, code = started(computer, "receive", "-o", tmp_path / "output", "-y")
        await page.send(code["link"], file)
        assert ended(receiver)["connected"]["address"] == phone.ipv6
        assert digest(tmp_path / "output" / "file") == digest(file)
        page.check()
    finally:
        await asyncio.to_thread(browser.close)
