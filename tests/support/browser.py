# SPDX-License-Identifier: LGPL-2.1-or-later
"""A headless Chromium that a test clicks in, by its DevTools protocol over a pipe."""

import base64
from collections.abc import Iterator
import contextlib
import json
import os
from pathlib import Path
import re
import select
import subprocess
import time
from typing import Any, Optional

__all__ = ("Tab", "browser")

_PATIENCE = 60.0  # seconds: the machine may be busy
_KEYS = {
    "Enter": ("Enter", 13, "\r"),
    "Escape": ("Escape", 27, ""),
    "Tab": ("Tab", 9, ""),
    "ArrowDown": ("ArrowDown", 40, ""),
}


class _Pipe:
    # Messages to and from the browser: JSON, each ended by a zero byte.

    def __init__(self, to: int, of: int) -> None:
        self._to, self._of = to, of
        self._data = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def _next(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._data:
            wait = until - time.monotonic()
            if wait <= 0 or not select.select([self._of], [], [], wait)[0]:
                raise TimeoutError("the browser does not answer")
            more = os.read(self._of, 1 << 20)
            if not more:
                raise EOFError("the browser has ended")
            self._data += more
        message, _, self._data = self._data.partition(b"\0")
        said: dict[str, Any] = json.loads(message)
        return said

    def call(self, method: str, session: Optional[str], **params: Any) -> Any:
        self._number += 1
        said = {"id": self._number, "method": method, "params": params}
        if session is not None:
            said["sessionId"] = session
        os.write(self._to, json.dumps(said).encode() + b"\0")
        until = time.monotonic() + _PATIENCE
        while True:
            message = self._next(until)
            if message.get("id") == self._number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)

    def wait(self, method: str) -> None:
        until = time.monotonic() + _PATIENCE
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self._next(until))


class Tab:
    """A page in the browser."""

    def __init__(self, pipe: _Pipe) -> None:
        self._pipe = pipe
        target = pipe.call("Target.createTarget", None, url="about:blank")["targetId"]
        attached = pipe.call(
            "Target.attachToTarget", None, targetId=target, flatten=True
        )
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        """Call a method of the DevTools protocol."""
        return self._pipe.call(method, self._session, **params)

    def size(self, width: int, height: int) -> None:
        """Give the page a size in pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def look(self, scheme: str = "light", media: str = "") -> None:
        """Prefer light or dark; print, or show on a screen."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", media=media, features=[feature])

    def open(self, path: Path) -> None:
        """Open a file."""
        self._pipe.events.clear()
        self.call("Page.navigate", url=path.as_uri())
        self._pipe.wait("Page.loadEventFired")

    def js(self, expression: str) -> Any:
        """Return the value of an expression."""
        said = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in said:
            raise RuntimeError(said["exceptionDetails"])
        return said["result"].get("value")

    def count(self, selector: str) -> int:
        """Return how many elements there are."""
        number = self.js(f"document.querySelectorAll({json.dumps(selector)}).length")
        return int(number)

    def text(self, selector: str) -> str:
        """Return the text of an element, without blank lines."""
        text = self.js(f"document.querySelector({json.dumps(selector)}).innerText")
        return re.sub("\n+", "\n", text)

    def center(self, selector: str) -> tuple[float, float]:
        """Scroll an element into view, and return where it is."""
        quoted = json.dumps(selector)
        x, y = self.js(
            f"(() => {{ const e = document.querySelector({quoted});"
            " e.scrollIntoView({block: 'center', inline: 'center'});"
            " const r = e.getBoundingClientRect();"
            " return [r.left + r.width / 2, r.top + r.height / 2]; })()"
        )
        return x, y

    def mouse(self, type: str, x: float, y: float, **params: Any) -> None:
        """Send an event of the mouse."""
        self.call("Input.dispatchMouseEvent", type=type, x=x, y=y, **params)

    def click(self, selector: str) -> None:
        """Click in the middle of an element."""
        x, y = self.center(selector)
        self.mouse("mouseMoved", x, y)
        for type in ("mousePressed", "mouseReleased"):
            self.mouse(type, x, y, button="left", clickCount=1)

    def key(self, key: str, modifiers: int = 0) -> None:
        """Press a key: a character, or one by its name."""
        code, number, text = _KEYS.get(key, (key, ord(key[0]), key))
        for type in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=type, key=code, modifiers=modifiers,
                windowsVirtualKeyCode=number, text=text if type == "keyDown" else "",
            )  # fmt: skip

    def type(self, text: str) -> None:
        """Type a text."""
        for char in text:
            self.key(char)

    def screenshot(self, path: Path, whole: bool = False) -> None:
        """
        Write what is seen to a PNG.

        :param whole: The whole page
        """
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def cpu(self) -> float:
        """Return how many CPU seconds the browser's pages have taken."""
        said = self._pipe.call("SystemInfo.getProcessInfo", None)["processInfo"]
        return sum(p["cpuTime"] for p in said if p["type"] == "renderer")

    def painted(self) -> None:
        """Wait until the page has been painted."""
        self.call(
            "Runtime.evaluate",
            expression="new Promise((done) => requestAnimationFrame(() =>"
            " setTimeout(done)))",
            awaitPromise=True,
        )

    def complaints(self) -> list[str]:
        """Return what the console and the policy said, and errors of scripts."""
        self.js("0")
        said = []
        for event in self._pipe.events:
            method, params = event.get("method"), event.get("params", {})
            if method == "Log.entryAdded":
                said.append(str(params["entry"].get("text")))
            elif method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
                said.append(json.dumps(params))
        return said

    def requests(self) -> list[str]:
        """Return the addresses that the page asked for."""
        return [
            event["params"]["request"]["url"]
            for event in self._pipe.events
            if event.get("method") == "Network.requestWillBeSent"
        ]


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Tab]:
    """
    Start Chromium, and end it.

    :param folder: For its profile
    """
    to_read, to_write = os.pipe()
    of_read, of_write = os.pipe()
    os.set_inheritable(to_read, True)
    os.set_inheritable(of_write, True)
    argv = [
        # It wants its pipes at 3 and 4.
        *("bash", "-c", f'exec "$@" 3<&{to_read} 4>&{of_write}', "bash"),
        *("chromium", "--headless", "--no-sandbox", "--disable-gpu"),
        *("--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars"),
        *("--disable-background-networking", f"--user-data-dir={folder / 'profile'}"),
        "--remote-debugging-pipe",
    ]
    with open(folder / "chromium.log", "wb") as log:
        process = subprocess.Popen(
            argv, pass_fds=(to_read, of_write), stdout=log, stderr=log
        )
    os.close(to_read)
    os.close(of_write)
    pipe = _Pipe(to_write, of_read)
    try:
        yield Tab(pipe)
        pipe.call("Browser.close", None)
        process.wait(30)
    finally:
        process.kill()
        process.wait()
        os.close(to_write)
        os.close(of_read)
