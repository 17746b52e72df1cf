"""Starts Debian's Chromium and Firefox, headless, with default settings but quiet.

Quiet means: no requests of their own, no first-run pages, no questions. Settings that a
page can observe keep their defaults. Profiles are new and are removed with the browser; all child
processes end with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import psutil

from tests.support.bidi import BidiError, Json, Wire
from tests.support.guard import wait_until_ended
from tests.support.processes import PATIENCE

__all__ = ["NAMES", "Launched", "missing_programs", "remove_abandoned"]

NAMES: Final = ("chromium", "firefox")

_PREFIX: Final = "dcsend-browser-"
"Start of the names of the profiles' folders; the process id of the test run follows."

_PROGRAMS: Final = {"chromium": ("chromium", "chromedriver"), "firefox": ("firefox-esr",)}
"Browser -> the programs that it takes."

_CHROMIUM_FLAGS: Final = {
    "--headless=new": "the whole browser, without a window",
    "--no-sandbox": "the sandbox refuses to run as root, which namespaces need",
    "--disable-gpu": "there is none; saves looking for it",
    "--disable-quic": "no other transport than a page asks for",
    "--no-first-run": "no welcome page",
    "--no-default-browser-check": "no question",
    "--disable-background-networking": "no requests of its own",
    "--disable-component-update": "no downloads of its own",
    "--disable-sync": "no account",
    "--disable-default-apps": "nothing installed at first start",
    "--disable-breakpad": "no report of crashes",
    "--metrics-recording-only": "no report of usage",
    "--disable-domain-reliability": "no report of errors",
    "--disable-features=SpareRendererForSitePerProcess": "no process in advance for each tab",
    "--hide-scrollbars": "pictures have the size that was asked for",
    "--password-store=basic": "no question of a key ring",
    # Without these a tab that another one covers is slowed down; tests open several.
    "--disable-background-timer-throttling": "tabs side by side",
    "--disable-backgrounding-occluded-windows": "tabs side by side",
    "--disable-renderer-backgrounding": "tabs side by side",
}
"Flag -> reason."

_FIREFOX_PREFS: Final[dict[str, tuple[bool | int | str, str]]] = {
    # The remote agent sets many more of this kind by itself; these act before it does.
    "app.update.disabledForTesting": (True, "no updates"),
    "app.normandy.enabled": (False, "no experiments"),
    "browser.aboutwelcome.enabled": (False, "no welcome page"),
    "browser.newtabpage.enabled": (False, "no new-tab page, which loads things"),
    "browser.startup.homepage": ("about:blank", "no home page"),
    "browser.startup.homepage_override.mstone": ("ignore", "no what's-new page"),
    "browser.startup.page": (0, "start with an empty tab"),
    "browser.shell.checkDefaultBrowser": (False, "no question"),
    "termsofuse.bypassNotification": (True, "no question"),
    "datareporting.policy.dataSubmissionEnabled": (False, "nothing about us to anyone"),
    "datareporting.healthreport.uploadEnabled": (False, "nothing about us to anyone"),
    "toolkit.telemetry.enabled": (False, "nothing about us to anyone"),
    "toolkit.telemetry.unified": (False, "nothing about us to anyone"),
    "toolkit.telemetry.server": ("", "nothing about us to anyone"),
    "browser.safebrowsing.blockedURIs.enabled": (False, "no lists fetched"),
    "browser.safebrowsing.downloads.enabled": (False, "no report of downloads"),
    "browser.safebrowsing.malware.enabled": (False, "no lists fetched"),
    "browser.safebrowsing.phishing.enabled": (False, "no lists fetched"),
    "network.captive-portal-service.enabled": (False, "no request to find out about the net"),
    "network.connectivity-service.enabled": (False, "no request to find out about the net"),
    "dom.push.connection.enabled": (False, "no connection of its own"),
    "services.settings.server": ("data:,#none/v1", "no settings fetched"),
    "browser.region.network.url": ("", "doesn't ask where it is"),
    "extensions.update.enabled": (False, "no updates"),
    "extensions.getAddons.cache.enabled": (False, "no lists fetched"),
    "extensions.systemAddon.update.enabled": (False, "no updates"),
    "media.gmp-manager.updateEnabled": (False, "no codecs fetched"),
    "browser.search.update": (False, "no updates"),
    "browser.topsites.contile.enabled": (False, "no lists fetched"),
    "network.trr.mode": (5, "names are asked of the system"),
    "network.prefetch-next": (False, "no request without a cause in the test"),
    "network.dns.disablePrefetch": (True, "no DNS query without a cause in the test"),
    "network.http.speculative-parallel-limit": (0, "no connection without a cause in the test"),
    "dom.ipc.processReuse.unusedGraceMs": (60_000, "the next test of a site starts no process"),
    "browser.download.alwaysOpenPanel": (False, "no panel for each download"),
}
"Preference -> value, reason. None concerns WebRTC, whose behaviour the tests check."


def missing_programs(name: str) -> list[str]:
    """Name the programs that browser *name* would need and that are not installed."""
    return [program for program in _PROGRAMS[name] if shutil.which(program) is None]


def remove_abandoned(ended: int = 0) -> None:
    """End the browsers of ended test processes, and of *ended*; remove their files."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        owner = int(folder.name.removeprefix(_PREFIX).split("-")[0])
        if owner != ended and psutil.pid_exists(owner):
            continue
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if any(str(folder) in word for word in process.cmdline()):
                    process.kill()
        shutil.rmtree(folder, ignore_errors=True)


class Launched:
    """A running browser with an open BiDi session.

    Args:
        name: one of `NAMES`.
        flags: more command line flags.
        namespace: the network namespace to run it in; empty: that of the test.
    """

    def __init__(self, name: str, flags: Sequence[str] = (), namespace: str = "") -> None:
        self.name = name
        self._flags = tuple(flags)
        self._prefix = ["ip", "netns", "exec", namespace] if namespace else []
        self._folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-{name}-"))
        self._output = bytearray()
        self._news = threading.Condition()
        self._threads: list[threading.Thread] = []
        self.wire = Wire(namespace)
        self.process: subprocess.Popen[bytes] | None = None
        try:
            self.version = self._start_chromium() if name == "chromium" else self._start_firefox()
        except BaseException:
            self.close()
            raise

    @property
    def profile(self) -> Path:
        """The folder of the profile."""
        return self._folder / "profile"

    async def command(
        self,
        method: str,
        timeout: float = PATIENCE,
        **parameters: Any,  # noqa: ANN401
    ) -> Json:
        """Give a BiDi command, and return its result."""
        return await self.wire.ask(self.wire.command(method, timeout, **parameters))

    def processes(self) -> list[psutil.Process]:
        """Everything that runs for it."""
        if self.process is None:
            return []
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def close(self) -> None:
        """End everything that was started, and remove the profile; idempotent."""
        children = self.processes()
        if self.wire.alive:
            with contextlib.suppress(BidiError):
                self.wire.submit(self.wire.command("browser.close", timeout=5)).result()
            wait_until_ended(children, 5)
        self.wire.close()
        if self.process is not None:
            self._kill(children)
            assert self.process.stdout is not None
            for thread in self._threads:
                thread.join(PATIENCE)
            self.process.stdout.close()
        _remove(self._folder)

    def _kill(self, children: list[psutil.Process]) -> None:
        """Kill the process group, and child processes that have left the group."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for child in children:
            with contextlib.suppress(
                psutil.NoSuchProcess
            ):  # distinguishes it from a new process with this id
                child.kill()
        self.process.wait()
        wait_until_ended(children, 5)

    def _start_chromium(self) -> str:
        """Start chromedriver, and have it start Chromium."""
        # Without IPv6 chromedriver takes a random port for IPv4 and reports 0. A namespace has its
        # own ports.
        wish = 9515 if self._prefix else 0
        port = self._spawn(
            ["chromedriver", f"--port={wish}"], rb"started successfully on port (\d+)"
        ).decode()
        options = {
            "binary": shutil.which("chromium"),
            "args": [*_CHROMIUM_FLAGS, f"--user-data-dir={self.profile}", *self._flags],
        }
        wanted: Json = {
            "browserName": "chrome",
            "webSocketUrl": True,
            "unhandledPromptBehavior": {"beforeUnload": "accept", "default": "ignore"},
            "goog:chromeOptions": options,
        }
        made = self.wire.submit(
            self.wire.post(
                f"http://127.0.0.1:{port}/session", {"capabilities": {"alwaysMatch": wanted}}
            )
        ).result(PATIENCE)
        capabilities = made["capabilities"]
        self.wire.submit(self.wire.connect(capabilities["webSocketUrl"])).result(PATIENCE)
        return str(capabilities["browserVersion"])

    def _start_firefox(self) -> str:
        self.profile.mkdir()
        lines = [
            f"user_pref({json.dumps(name)}, {json.dumps(value)});"
            for name, (value, _) in _FIREFOX_PREFS.items()
        ]
        (self.profile / "user.js").write_text("\n".join(lines), encoding="utf-8")
        # System access: light or dark can't be chosen over BiDi yet, only from inside.
        url = self._spawn(
            [
                *("firefox-esr", "--headless", "--no-remote", "--profile", str(self.profile)),
                *("--remote-debugging-port", "0", "--remote-allow-system-access", *self._flags),
            ],
            rb"WebDriver BiDi listening on (ws://\S+)",
        ).decode()
        self.wire.submit(self.wire.connect(f"{url}/session")).result(PATIENCE)
        wanted = {"unhandledPromptBehavior": {"beforeUnload": "accept", "default": "ignore"}}
        made = self.wire.submit(
            self.wire.command("session.new", capabilities={"alwaysMatch": wanted})
        ).result(PATIENCE)
        return str(made["capabilities"]["browserVersion"])

    def _spawn(self, argv: list[str], ready: bytes) -> bytes:
        """Start a program in its own process group; return the match of *ready* in its output."""
        home = self._folder / "home"
        home.mkdir()
        foreign = ("XDG_", "DBUS_", "MOZ_", "DISPLAY", "WAYLAND_")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        environment |= {"HOME": str(home), "TMPDIR": str(self._folder), "LANG": "C.UTF-8"}
        self.process = subprocess.Popen(
            [*self._prefix, *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        thread = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._threads.append(thread)
        thread.start()
        with self._news:
            self._news.wait_for(
                lambda: re.search(ready, self._output) or not thread.is_alive(), PATIENCE
            )
            found = re.search(ready, bytes(self._output))
        assert found, f"{argv[0]} doesn't start: {self._output.decode(errors='replace')}"
        return found[1]

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        while chunk := os.read(process.stdout.fileno(), 65536):
            with self._news:
                self._output += chunk
                self._news.notify_all()
        with self._news:
            self._news.notify_all()


def _remove(folder: Path) -> None:
    """Remove a folder in which the last of the killed processes may still write."""
    deadline = time.monotonic() + PATIENCE
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        assert time.monotonic() < deadline, f"{folder} can't be removed"
