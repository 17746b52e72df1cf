"""A listener whose network appears or changes while it waits, on hosts of network namespaces."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dcsend.signaling.dialcode import DialCode, decode
from tests.support.demo_peers import LineProgram, Programs
from tests.support.netns import Host, Lan, MakeLan
from tests.support.processes import digest


class Sending:
    """A file to send, and the programs on hosts that send and receive it."""

    def __init__(self, folder: Path, programs: Programs) -> None:
        self.folder = folder
        self.file = folder / "film"
        self.file.write_bytes(b"across the network" * 20_000)
        self.programs = programs

    def start(self, host: Host, *arguments: str) -> LineProgram:
        """Start a sender on a host."""
        return self.programs.dcsend("send", self.file, *arguments, "--json", host=host)

    def arrives(self, sender: LineProgram, host: Host, code: str) -> None:
        """Receive on a host with *code*; check both exit statuses and the file."""
        receive = ("receive", code, "-o", self.folder / "in", "-y", "--json")
        receiver = self.programs.dcsend(*receive, host=host)
        assert receiver.end() == 0
        assert sender.end() == 0
        assert digest(self.folder / "in" / "film") == digest(self.file)


def event(program: LineProgram, name: str, count: int = 1, having: str = "") -> dict[str, Any]:
    """Wait for the *count*th event of this name whose line matches *having*."""
    found = program.until(rf'^.*"event": ?"{name}".*{having}.*$', count=count)
    read: dict[str, Any] = json.loads(found[0])
    return read


def hosts_of(code: DialCode) -> set[str]:
    return {address.host for address in code.addresses}


@pytest.fixture
def sending(tmp_path: Path, programs: Programs) -> Sending:
    return Sending(tmp_path, programs)


def test_code_made_without_a_network_is_renewed_when_there_is_one(
    lan: MakeLan, sending: Sending
) -> None:
    receiver_host, sender_host = lan(2, ipv6=False).hosts
    sender_host.run(["ip", "address", "del", f"{sender_host.ipv4}/24", "dev", "eth0"])
    sender = sending.start(sender_host)
    first = decode(event(sender, "code")["code"])
    assert hosts_of(first) == {"127.0.0.1"}
    note = event(sender, "error")
    assert "this machine is in no network; the code works on this machine only" in note["message"]
    sender_host.run(["ip", "address", "add", f"{sender_host.ipv4}/24", "dev", "eth0"])
    renewed = event(sender, "code", 2)
    second = decode(renewed["code"])
    assert hosts_of(second) == {sender_host.ipv4}
    assert second.secret == first.secret
    assert (second.fingerprint, second.port, second.expires) == (
        first.fingerprint,
        first.port,
        first.expires,
    )
    sending.arrives(sender, receiver_host, renewed["code"])
    assert sum('"code"' in line for line in sender.lines) == 2


def test_code_before_a_new_address_still_works(lan: MakeLan, sending: Sending) -> None:
    receiver_host, sender_host = lan(2, ipv6=False).hosts
    sender = sending.start(sender_host)
    first = event(sender, "code")["code"]
    sender_host.run(["ip", "address", "add", "10.9.8.7/24", "dev", "eth0"])
    renewed = decode(event(sender, "code", 2)["code"])
    assert hosts_of(renewed) == {sender_host.ipv4, "10.9.8.7"}
    assert "addresses of this machine have changed" in event(sender, "error")["message"]
    sending.arrives(sender, receiver_host, first)


def test_two_codes_get_a_sentence_when_the_addresses_change(lan: MakeLan, sending: Sending) -> None:
    (host,) = lan(1, ipv6=False).hosts
    sender = sending.start(host, "--signal", "sdp")
    event(sender, "description")
    host.run(["ip", "address", "add", "10.9.8.7/24", "dev", "eth0"])
    note = event(sender, "error")
    assert "addresses of this machine have changed since its code was made" in note["message"]


def connect(lan: Lan, host: Host, name: str, address: str) -> None:
    """Connect a host to a second network."""
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
    lan: MakeLan, sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DCSEND_NO_PAGE")
    listening, near = lan(2, ipv6=False).hosts
    other = lan(2, ipv6=False)
    far = other.hosts[0]
    address = far.ipv4.rpartition(".")[0] + ".77"
    connect(other, listening, "tun0", address)
    # The default route leads through the network without a receiver.
    listening.run(["ip", "route", "add", "default", "via", far.ipv4])
    sender = sending.start(listening)
    code = event(sender, "code")
    assert [link.split(":")[1] for link in code["links"]] == [f"//{listening.ipv4}", f"//{address}"]
    assert code["link"] == code["links"][0]
    assert {link.partition("#")[2] for link in code["links"]} == {code["link"].partition("#")[2]}
    for host, link in ((near, code["links"][0]), (far, code["links"][1])):
        assert "<!doctype html>" in host.run([sys.executable, "-c", _FETCH, link]).stdout.lower()
    note = event(sender, "error")
    assert f"the first address in the code, {address}, is that of a VPN (tun0)" == note["message"]
    assert note["hint"] == f"devices outside it use {listening.ipv4}"
