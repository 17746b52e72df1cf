"""A topology that is up: programs run on its hosts, and things happen to its network."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from dcsend.serving.page import read_page
from tests.lab import building, page_host, relays, rendezvous, rules
from tests.lab.building import SERVER, SERVER_2, Net, Plug
from tests.lab.server import Server
from tests.lab.topologies import TOPOLOGIES, Nat, Site, Topology
from tests.lab.wires import Wire
from tests.support import netns
from tests.support.netns import Host
from tests.support.processes import Program

__all__ = ["DISTANT", "Lab"]

DISTANT: Final[Mapping[str, float]] = {"a": 0.010, "b": 0.015, "server": 0.020}
"Delays of the links to the internet, seconds one way: hosts in different towns."

NAMES: Final[Mapping[str, list[str]]] = {
    "stun.l.google.com": list(SERVER),
    "stun.cloudflare.com": list(SERVER_2),
    relays.NAME: list(SERVER),
    "turn4.lab.test": [SERVER[0]],
    rendezvous.NAME: list(rendezvous.ADDRESSES),
    page_host.NAME: list(page_host.ADDRESSES),
}
"Every other name does not exist."

_HOSTS: Final = "127.0.0.1 localhost\n::1 localhost\n"
_QUEUE_SECONDS: Final = 0.06
"What waits in front of a line with a rate."

_numbers = itertools.count(1)


class Lab:
    """The network of one topology; a context manager that removes it.

    Args:
        topology: a name in `TOPOLOGIES`, or a value.
        delays: seconds one way of the links to the internet of `a`, `b` and `server`; for hosts in
            one LAN, the link of `a` is that of its router.
        rate: bits per second of the link of `a` to the internet; 0: unlimited.
        names: records of the name server, in place of `NAMES`.

    Skips the test without network namespaces; with CI=true it fails.
    """

    a: Host
    b: Host
    server: Host
    net: Net

    def __init__(
        self,
        topology: str | Topology,
        *,
        delays: Mapping[str, float] | None = None,
        rate: float = 0.0,
        names: Mapping[str, list[str]] = NAMES,
    ) -> None:
        self.topology = TOPOLOGIES[topology] if isinstance(topology, str) else topology
        self._wires = {label: Wire(delay) for label, delay in (delays or {}).items()}
        if rate:
            wire = Wire((delays or {}).get("a", 0.0), 0, rate, int(rate / 8 * _QUEUE_SECONDS))
            self._wires["a"] = wire
        self._names = dict(names)
        self._cleanup = contextlib.ExitStack()
        self._programs: list[Program] = []
        self._relays: set[int] = set()
        self._has_authority = False

    def __enter__(self) -> Lab:
        netns.require_namespaces()
        start = f"{netns.PREFIX}-{os.getpid()}-lab{next(_numbers)}"
        try:
            folder = self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="dcsend-lab-"))
            self.folder = Path(folder)
            self.net = Net(start, self._cleanup, self._wires)
            self.server = self.net.server
            self.a, self.b = building.hosts(self.net, self.topology)
            resolver = "".join(f"nameserver {address}\n" for address in SERVER)
            for host in (self.a, self.b, self.server):
                netns.settle(host.namespace, resolv_conf=resolver, hosts=_HOSTS)
            server = Server(self.server, (*SERVER, *SERVER_2), self._names)
            self._cleanup.callback(server.close)
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            for program in self._programs:
                program.kill()
                if kind is not None or "PYTEST_CURRENT_TEST" in os.environ:
                    program.report()
        finally:
            self._cleanup.close()

    # --- programs

    def dcsend(self, host: Host, *arguments: str | Path, **options: Any) -> Program:  # noqa: ANN401
        """Start dcsend on a host; options are those of `Program`.

        It uses the STUN server and trusts the certificates of the other servers.
        """
        environment = {"DCSEND_STUN": "stun:stun.l.google.com:19302"}
        if self._has_authority:
            environment["SSL_CERT_FILE"] = str(self.folder / "ca.pem")
        environment |= options.pop("environment", None) or {}
        program = Program(*map(str, arguments), host=host, environment=environment, **options)
        self._programs.append(program)
        return program

    def send(self, host: Host, *arguments: str | Path, **options: Any) -> Program:  # noqa: ANN401
        """Start a sender that reports in JSON."""
        return self.dcsend(host, "send", *arguments, "--json", **options)

    def receive(
        self,
        host: Host,
        code: str,
        output: Path,
        *arguments: str,
        **options: Any,  # noqa: ANN401
    ) -> Program:
        """Start a receiver that accepts everything, in JSON; without a code it listens."""
        given = [code] if code else []
        return self.dcsend(
            host, "receive", *given, "-o", output, "-y", "--json", *arguments, **options
        )

    def relay(self, kind: str = "udp") -> str:
        """Start a TURN relay on the server, of a kind in `relays.KINDS`; return its address.

        Call it before the programs that use it are started.
        """
        chosen = relays.KINDS[kind]
        if chosen.port not in self._relays:
            relays.start(self.server, chosen, self.folder)
            self._relays.add(chosen.port)
            self._has_authority = True
        return chosen.url()

    def rendezvous(self) -> str:
        """Start a rendezvous server; return its URL, for `--server`.

        Call it once, before the programs that use it are started.
        """
        host = self.net.host("rendezvous", *rendezvous.ADDRESSES)
        self.net.public(host, "server")
        self._has_authority = True
        return rendezvous.start(host, self.folder)

    def hosted_page(self, server: str) -> str:
        """Serve the page over https, with a rendezvous server written into it; return its URL."""
        host = self.net.host("page", *page_host.ADDRESSES)
        self.net.public(host, "server")
        page = read_page(server=server).content
        url, end = page_host.start(host, self.folder, page)
        self._cleanup.callback(end)
        return url

    @functools.cached_property
    def local(self) -> Host:
        """A third host of the LAN of b."""
        host = self.net.host("local")
        host.ipv4, host.ipv6 = self.net.plug(host.namespace, self.net.routers["b"], "eth0")
        return host

    def local_servers(self) -> tuple[str, str]:
        """Start a rendezvous server and a web server with the page on the third host of the LAN.

        Neither has TLS. Returns the URL of both.
        """
        url = rendezvous.start(self.local, self.folder, tls=False)
        page = read_page(server=url).content
        link, end = page_host.start(self.local, self.folder, page, tls=False)
        self._cleanup.callback(end)
        return url, link

    def local_relay(self, kind: str = "udp") -> str:
        """Start a TURN relay on that host, as `relay`; return its address."""
        chosen = relays.KINDS[kind]
        relays.start(self.local, chosen, self.folder, [self.local.ipv4])
        return chosen.url(self.local.ipv4)

    @property
    def authority(self) -> Path:
        """The certificate of the authority that the servers have theirs from, in PEM."""
        return relays.authority(self.folder)

    @property
    def certificate(self) -> Path:
        """The certificate of the servers, in PEM."""
        return relays.authority(self.folder).with_name("server.pem")

    # --- what happens to the network

    @contextmanager
    def silent(self, host: Host) -> Iterator[None]:
        """Lose everything between a host and its network, without an error, for that long."""
        plugs = self._plugs(host)
        for plug in plugs:
            self.net.nft(plug.namespace, rules.silence(plug.port))
        yield
        for plug in plugs:
            self.net.nft(plug.namespace, "delete table netdev silence")

    @contextmanager
    def down(self, host: Host) -> Iterator[None]:
        """Switch a host's interfaces off for that long; then they have what they had before."""
        for plug in self._plugs(host):
            netns.batch(host.namespace, f"link set {plug.interface} down")
        yield
        for plug in self._plugs(host):
            netns.batch(host.namespace, f"link set {plug.interface} up", *plug.commands)

    @contextmanager
    def unplugged(self, host: Host) -> Iterator[None]:
        """Take a host's interfaces out of their network, addresses and all, for that long."""
        for plug in self._plugs(host):
            netns.batch(
                host.namespace,
                f"address flush dev {plug.interface}",
                f"link set {plug.interface} down",
            )
        yield
        for plug in self._plugs(host):
            netns.batch(host.namespace, f"link set {plug.interface} up", *plug.commands)

    def renumber(self, host: Host, number: int = 100) -> None:
        """Replace the addresses of a host in its LAN by another one."""
        plug = self._plugs(host)[0]
        old, new = host.ipv4, f"{host.ipv4.rpartition('.')[0]}.{number}"
        plug.commands = [command.replace(old, new) for command in plug.commands]
        netns.batch(host.namespace, f"address flush dev {plug.interface} scope global")
        netns.batch(host.namespace, *plug.commands)
        host.ipv4 = new

    def forget(self, host: Host) -> None:
        """Delete the mappings of the translators of a host; Linux then assigns the same ports."""
        for namespace in self._translators(host):
            subprocess.run(
                ["ip", "netns", "exec", namespace, "conntrack", "-F"],
                check=True,
                capture_output=True,
            )

    def rebind(self, host: Host) -> None:
        """Delete the mappings of the translator of a host, and assign other ports from now on."""
        router = self.net.routers[self._label(host)]
        router.site = dataclasses.replace(router.site, nat=Nat.SYMMETRIC)
        self.net.apply(router)
        self.forget(host)

    def move(self, host: Host) -> None:
        """Give the router of a host another public address, as a provider does at night."""
        router = self.net.routers[self._label(host)]
        port, old = self.net.port_of(router), router.public
        (plug,) = (p for p in self.net.plugs[router.namespace] if p.interface == "wan")
        router.public = f"203.0.113.5{old.rpartition('.')[2]}"
        netns.batch(self.net.internet, f"route add {router.public}/32 dev {port}")
        netns.batch(self.net.internet, f"route del {old}/32 dev {port}")
        plug.commands = [command.replace(old, router.public) for command in plug.commands]
        netns.batch(router.namespace, f"address del {old}/32 dev wan", *plug.commands)
        self.net.apply(router)
        self.forget(host)

    def roam(self, host: Host, nat: Nat = Nat.SYMMETRIC) -> None:
        """Change a host from its network to a mobile one, with a symmetric translator or another.

        As clients of DHCP do, it loses its address with the old network.
        """
        for plug in self._plugs(host):
            netns.batch(
                host.namespace,
                f"address flush dev {plug.interface}",
                f"link set {plug.interface} down",
            )
        mobile = self.net.router("mobile", Site(hosts="", nat=nat), 4, "100.70.0")
        self.net.connect(mobile, "mobile", 4)
        self.net.plugs[host.namespace] = []
        host.ipv4, host.ipv6 = self.net.plug(host.namespace, mobile, "wwan0")
        self.net.routers[self._label(host)] = mobile

    # --- inside

    def _label(self, host: Host) -> str:
        return "a" if host is self.a else "b"

    def _plugs(self, host: Host) -> list[Plug]:
        return self.net.plugs[host.namespace]

    def _translators(self, host: Host) -> list[str]:
        site = self.topology.site(self._label(host))
        names = [self._label(host), *([site.carrier] if site.carrier else [])]
        return [self.net.routers[name].namespace for name in names]
