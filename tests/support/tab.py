"""A tab of a real browser: open a page, click, type, choose files, and check the result.

User actions are real input events, not calls of functions of the page. Waits run in the page, where
they observe changes.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.support.bidi import BidiError, Json
from tests.support.launching import Launched
from tests.support.processes import PATIENCE
from tests.support.tab_scripts import CHANGED, LOOK, PICK, REACHABLE, STATE, WAIT

__all__ = ["EVENTS", "Download", "Logged", "Tab"]

EVENTS: Final = (
    "log.entryAdded",
    "script.message",
    "network.beforeRequestSent",
    "browsingContext.downloadWillBegin",
    "browsingContext.downloadEnd",
)
"Events of WebDriver BiDi that a tab needs."

_KEYS: Final = {
    **{"Backspace": "\ue003", "Tab": "\ue004", "Enter": "\ue007", "Shift": "\ue008"},
    **{"Escape": "\ue00c", "Space": " ", "End": "\ue010", "Home": "\ue011", "Left": "\ue012"},
    **{"Up": "\ue013", "Right": "\ue014", "Down": "\ue015", "Delete": "\ue017"},
}
"Names of keys that are no character -> what WebDriver calls them."


@dataclass(frozen=True, slots=True)
class Logged:
    """Something on a page's console, or a breach of its content security policy."""

    level: str
    "`debug`, `info`, `warn`, `error`; `violation`."
    text: str


@dataclass(frozen=True, slots=True)
class Download:
    """A download that has ended."""

    url: str
    complete: bool
    path: Path
    "Where it is; meaningless if it isn't complete."


_OF_CHROMEDRIVER: Final = "TypeError: w[id] is not a function"
"""What chromedriver 156 logs if it runs a preload script with a channel twice in one window before
it has read the channel; its own script has these names. Seen once."""


@dataclass(slots=True)
class Tab:
    """One tab, from its opening to its end."""

    browser: Launched
    context: str
    downloads: Path
    "Where its downloads are saved."
    logged: list[Logged] = field(default_factory=list)
    "Everything on its console so far, whichever page was in it."
    requests: list[str] = field(default_factory=list)
    "The URL of each request over the network so far."
    _ended: asyncio.Queue[Download] = field(default_factory=asyncio.Queue)
    "In the thread of the browser's connection."
    _used: bool = False
    "Whether a page was opened in it."

    def __post_init__(self) -> None:
        """Begin to listen."""
        self.browser.wire.listen(self._listen)

    @property
    def problems(self) -> list[Logged]:
        """What a page of dcsend may not cause: warnings, errors, exceptions, breaches of policy."""
        return [entry for entry in self.logged if entry.level not in ("debug", "info")]

    async def open(self, url: str) -> None:
        """Go to *url*, and wait until it is loaded."""
        # A page that differs in its fragment only is not loaded anew.
        if self._used:
            await self._command("browsingContext.navigate", url="about:blank", wait="complete")
        self._used = True
        await self._command("browsingContext.navigate", url=url, wait="complete")

    async def reload(self) -> None:
        """Load the page anew."""
        await self._command("browsingContext.reload", wait="complete")

    def inside(self, context: str) -> Tab:
        """Return the page in a frame of this tab, by the frame's context."""
        return Tab(self.browser, context, self.downloads)

    async def close(self) -> None:
        """Close the tab."""
        self.browser.wire.ignore(self._listen)
        await self._command("browsingContext.close")

    async def activate(self) -> None:
        """Bring the tab to the front."""
        await self._command("browsingContext.activate")

    async def evaluate(self, expression: str) -> Any:  # noqa: ANN401 - whatever JSON holds
        """Return the value of an expression; of a promise, its result."""
        return await self.call(f"() => ({expression})")

    async def call(self, function: str, *arguments: object, gesture: bool = False) -> Any:  # noqa: ANN401
        """Call a function in the page, asynchronous or not, with arguments that JSON can hold.

        Args:
            function: its source.
            arguments: of the call.
            gesture: run it with user activation.
        """
        return await call(self.browser, self.context, function, arguments, gesture=gesture)

    async def wait_for(self, expression: str, timeout: float = PATIENCE) -> Any:  # noqa: ANN401
        """Wait until the value of an expression is truthy, and return it."""
        try:
            return await call(
                *(self.browser, self.context, WAIT % expression, [timeout * 1000]),
                patience=timeout + PATIENCE,
            )
        except BidiError as error:
            there = await self.evaluate(STATE)
            raise AssertionError(f"{expression}: {error}; page: {there}; {self.problems}") from None

    async def click(self, selector: str) -> None:
        """Click the first element for *selector*, once it can be clicked."""
        await self.wait_for(REACHABLE % json.dumps(selector))
        origin = {"type": "element", "element": await self._locate(selector)}
        pointer = [
            {"type": "pointerMove", "x": 0, "y": 0, "origin": origin},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        await self._act({"type": "pointer", "id": "mouse", "actions": pointer})

    async def press(self, *keys: str) -> None:
        """Press keys one by one: names such as `Enter`, or text."""
        strokes = [stroke for key in keys for stroke in _KEYS.get(key, key)]
        actions = [
            {"type": kind, "value": stroke} for stroke in strokes for kind in ("keyDown", "keyUp")
        ]
        await self._act({"type": "key", "id": "keyboard", "actions": actions})

    async def chord(self, *keys: str) -> None:
        """Press keys together, such as `Shift` and `Tab`."""
        values = [_KEYS.get(key, key) for key in keys]
        actions = [
            *({"type": "keyDown", "value": value} for value in values),
            *({"type": "keyUp", "value": value} for value in reversed(values)),
        ]
        await self._act({"type": "key", "id": "keyboard", "actions": actions})

    async def type(self, selector: str, text: str) -> None:
        """Click a field and type into it."""
        await self.click(selector)
        await self.press(text)

    async def set_files(self, selector: str, *paths: Path) -> None:
        """Choose files in a file input, as its dialog would."""
        element = await self._locate(selector)
        await self._command("input.setFiles", element=element, files=[str(path) for path in paths])

    async def set_folder(self, selector: str, path: Path) -> None:
        """Choose a folder in an input with `webkitdirectory`."""
        if self.browser.name == "chromium":
            await self.set_files(selector, path)
            return
        # Firefox takes files only over BiDi; so its dialog is opened, and answered from inside.
        await inside(self.browser, PICK, str(path))
        await self.call(CHANGED, selector, gesture=True)

    async def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Save a PNG of the viewport, or of the *whole* page."""
        origin = "document" if whole else "viewport"
        taken = await self._command("browsingContext.captureScreenshot", origin=origin)
        _write(path, base64.b64decode(taken["data"]))

    async def viewport(self, width: int, height: int, ratio: float = 1.0) -> None:
        """Set the size of the page in CSS pixels, and how many device pixels one has."""
        size = {"width": width, "height": height}
        await self._command("browsingContext.setViewport", viewport=size, devicePixelRatio=ratio)

    async def look(self, scheme: str = "light", *, reduced_motion: bool = False) -> None:
        """Prefer `light` or `dark`, and reduced motion or not; in Firefox for all tabs."""
        motion = "reduce" if reduced_motion else "no-preference"
        features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": motion}
        if self.browser.name == "chromium":
            await self.browser.command(
                "emulation.setMediaFeaturesOverride", features=features, contexts=[self.context]
            )
        else:
            number = {"dark": 0, "light": 1}[scheme]
            await inside(self.browser, LOOK, number, int(reduced_motion))
        # Firefox notifies its other processes, but does not wait for them.
        queries = json.dumps([f"({name}: {value})" for name, value in features.items()])
        await self.wait_for(f"{queries}.every((query) => matchMedia(query).matches)")

    async def downloaded(self, timeout: float = PATIENCE) -> Download:
        """Wait for the end of the next download that this method has not returned yet."""

        async def next_one() -> Download:
            async with asyncio.timeout(timeout):
                return await self._ended.get()

        return await self.browser.wire.ask(next_one())

    async def _command(self, method: str, **parameters: Any) -> Json:  # noqa: ANN401
        return await self.browser.command(method, context=self.context, **parameters)

    async def _locate(self, selector: str) -> Json:
        locator = {"type": "css", "value": selector}
        found = await self._command("browsingContext.locateNodes", locator=locator, maxNodeCount=1)
        assert found["nodes"], f"nothing in the page is {selector}"
        return {"sharedId": found["nodes"][0]["sharedId"]}

    async def _act(self, source: Json) -> None:
        await self._command("input.performActions", actions=[source])

    def _listen(self, event: str, parameters: Json) -> None:
        source = parameters.get("source", parameters)
        if source.get("context") != self.context:
            return
        match event:
            case "log.entryAdded" if parameters["text"] != _OF_CHROMEDRIVER:
                self.logged.append(Logged(parameters["level"], str(parameters["text"])))
            case "script.message":
                self.logged.append(Logged("violation", str(parameters["data"].get("value"))))
            case "network.beforeRequestSent":
                url = str(parameters["request"]["url"])
                if url.startswith(("http", "ws")):
                    self.requests.append(url)
            case "browsingContext.downloadEnd":
                complete = parameters["status"] == "complete"
                path = Path(parameters.get("filepath") or "")
                self._ended.put_nowait(Download(parameters["url"], complete, path))


async def call(
    browser: Launched,
    context: str,
    function: str,
    arguments: Sequence[object] = (),
    *,
    gesture: bool = False,
    patience: float = PATIENCE,
) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Call a function in the page of a context; arguments and result are JSON."""
    # Not subject to the page's policy: this is no `eval`.
    answer = await browser.command(
        "script.callFunction",
        timeout=patience,
        functionDeclaration=(
            f"async (given) => JSON.stringify(await ({function})(...JSON.parse(given)))"
        ),
        arguments=[{"type": "string", "value": json.dumps(arguments)}],
        target={"context": context},
        awaitPromise=True,
        userActivation=gesture,
    )
    if answer["type"] != "success":
        raise BidiError(str(answer["exceptionDetails"]["text"]))
    return json.loads(answer["result"].get("value", "null"))


async def inside(browser: Launched, function: str, *arguments: object) -> None:
    """Run a function in the window that holds the tabs; Firefox only."""
    scope: Json = {"moz:scope": "chrome"}
    tree = await browser.command("browsingContext.getTree", **scope)
    await call(browser, tree["contexts"][0]["context"], function, arguments)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
