"""A listener whose network appears or changes while it waits: hosts of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dcsend.signaling.dialcode import DialCode, decode
from tests.demo_peers import Talker
from tests.netns import Host, Lan, MakeLan
from tests.processes import digest


class Here:
    """Programs on hosts, and their events."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "film"
        self.file.write_bytes(b"across the network" * 20_000)
        self.talkers: list[Talker] = []

    def dcsend(self, host: Host, *arguments: str | Path) -> Talker:
        """Start dcsend on a host; its events are lines."""
        words = [sys.executable, "-m", "dcsend", *map(str, arguments), "--json"]
        talker = Talker(["ip", "netns", "exec", host.namespace, *words])
        self.talkers.append(talker)
        return talker

    def sends(self, host: Host, *arguments: str) -> Talker:
        """Start a sender that waits."""
        return self.dcsend(host, "send", self.file, *arguments)

    def arrives(self, sender: Talker, receiving: Host, code: str) -> None:
        """Receive with *code*; check that all is well on both sides."""
        receiver = self.dcsend(receiving, "receive", code, "-o", self.folder / "in", "-y")
        assert receiver.end() == 0
        assert sender.end() == 0
        assert digest(self.folder / "in" / "film") == digest(self.file)


def event(talker: Talker, name: str, count: int = 1, having: str = "") -> dict[str, Any]:
    """Wait for the *count*th event of a name."""
    found = talker.until(rf'^.*"event": ?"{name}".*{having}.*$', count=count)
    read: dict[str, Any] = json.loads(found[0])
    return read


def hosts_of(code: DialCode) -> set[str]:
    return {address.host for address in code.addresses}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    stage = Here(tmp_path)
    yield stage
    for talker in stage.talkers:
        talker.kill()


def test_code_made_without_a_network_is_renewed_when_there_is_one(lan: MakeLan, here: Here) -> None:
    receiving, sending = lan(2, ipv6=False).hosts
    sending.run(["ip", "address", "del", f"{sending.ipv4}/24", "dev", "eth0"])
    sender = here.sends(sending)
    first = decode(event(sender, "code")["code"])
    assert hosts_of(first) == {"127.0.0.1"}
    note = event(sender, "error")
    assert "this machine is in no network; the code works on this machine only" in note["message"]
    sending.run(["ip", "address", "add", f"{sending.ipv4}/24", "dev", "eth0"])
    renewed = event(sender, "code", 2)
    second = decode(renewed["code"])
    assert hosts_of(second) == {sending.ipv4}
    assert second.secret == first.secret
    assert (second.fingerprint, second.port, second.expires) == (
        first.fingerprint,
        first.port,
        first.expires,
    )
    here.arrives(sender, receiving, renewed["code"])
    assert sum('"code"' in line for line in sender.lines) == 2


def test_code_before_a_new_address_still_works(lan: MakeLan, here: Here) -> None:
    receiving, sending = lan(2, ipv6=False).hosts
    sender = here.sends(sending)
    first = event(sender, "code")["code"]
    sending.run(["ip", "address", "add", "10.9.8.7/24", "dev", "eth0"])
    renewed = decode(event(sender, "code", 2)["code"])
    assert hosts_of(renewed) == {sending.ipv4, "10.9.8.7"}
    assert "addresses of this machine have changed" in event(sender, "error")["message"]
    here.arrives(sender, receiving, first)


def test_two_codes_get_a_sentence_when_the_addresses_change(lan: MakeLan, here: Here) -> None:
    (host,) = lan(1, ipv6=False).hosts
    sender = here.sends(host, "--signal", "sdp")
    event(sender, "description")
    host.run(["ip", "address", "add", "10.9.8.7/24", "dev", "eth0"])
    note = event(sender, "error")
    assert "addresses of this machine have changed since its code was made" in note["message"]


def plugged_into(lan: Lan, host: Host, name: str, address: str) -> None:
    """Give a host an interface in another network, too."""
    for namespace, command in (
        (lan.bridge, f"link add second type veth peer name {name} netns {host.namespace}"),
        (lan.bridge, "link set second master br0 up"),
        (host.namespace, f"address add {address}/24 dev {name}"),
        (host.namespace, f"link set {name} up"),
    ):
        subprocess.run(["ip", "-n", namespace, *command.split()], check=True)


_FETCH = """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1].partition("#")[0], timeout=20).read(100))
"""


def test_each_network_of_the_listener_has_a_link_that_works(
    lan: MakeLan, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DCSEND_NO_PAGE")
    listening, near = lan(2, ipv6=False).hosts
    other = lan(2, ipv6=False)
    far = other.hosts[0]
    address = far.ipv4.rpartition(".")[0] + ".77"
    plugged_into(other, listening, "tun0", address)
    # The default route goes where the other side is not.
    listening.run(["ip", "route", "add", "default", "via", far.ipv4])
    sender = here.sends(listening)
    code = event(sender, "code")
    assert [link.split(":")[1] for link in code["links"]] == [f"//{listening.ipv4}", f"//{address}"]
    assert code["link"] == code["links"][0]
    assert {link.partition("#")[2] for link in code["links"]} == {code["link"].partition("#")[2]}
    for host, link in ((near, code["links"][0]), (far, code["links"][1])):
        assert "<!doctype html>" in host.run([sys.executable, "-c", _FETCH, link]).stdout.lower()
    note = event(sender, "error")
    assert f"the first address in the code, {address}, is that of a VPN (tun0)" == note["message"]
    assert note["hint"] == f"devices outside it use {listening.ipv4}"
