"""Drive Chromium over its pipe: pages at a width, light or dark, what they ask for, screenshots.

Tests (``tests/peers``) and ``tools/make_screenshots.py`` use it. The DevTools protocol over file
descriptors 3 and 4 (``--remote-debugging-pipe``) needs no port and no library: JSON documents, each
ended by a zero byte (https://chromedevtools.github.io/devtools-protocol/).
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe",
    "--force-color-profile=srgb", "--no-first-run", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip
#: Puts our two pipes where the browser looks for them.
_START = """
import fcntl, os, sys
read, write = (fcntl.fcntl(int(each), fcntl.F_DUPFD, 10) for each in sys.argv[1:3])
os.dup2(read, 3)
os.dup2(write, 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""


class PageError(Exception):
    """A script of ours failed in the page."""


class Tab:
    """One page. ``requests``: every address that it asked for."""

    def __init__(self, sending: int, receiving: int) -> None:
        self._sending = sending
        self._receiving = os.fdopen(receiving, "rb")
        self._number = 0
        self._session = ""
        self._events: list[dict[str, Any]] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        found = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        """Close our ends of the pipes."""
        self._receiving.close()
        os.close(self._sending)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol, and take its answer."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._sending, json.dumps(message).encode() + b"\0")
        while True:
            got = self._next()
            if got.get("id") == number:
                if "error" in got:
                    raise PageError(f"{method}: {got['error']['message']}")
                result: dict[str, Any] = got["result"]
                return result

    def show(
        self, page: Path, *, width: int = 1280, height: int = 900, dark: bool = False,
        print_: bool = False,
    ) -> None:  # fmt: skip
        """Load a page, and wait until its scripts ran."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
            mobile=False,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media="print" if print_ else "", features=[scheme])
        self.requests.clear()
        self._events.clear()
        self.call("Page.navigate", url=page.resolve().as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._next()
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def run(self, script: str) -> Any:
        """The value of an expression in the page; its policy does not apply to it."""
        got = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in got:
            raise PageError(json.dumps(got["exceptionDetails"])[:2000])
        return got["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code,
                **({"text": "\r"} if key == "Enter" else {}),
            )  # fmt: skip

    def picture(self, file: Path, *, width: int, height: int) -> None:
        """A picture of the page's top as PNG."""
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        got = self.call(
            "Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip
        )
        file.write_bytes(base64.b64decode(got["data"]))

    def _next(self) -> dict[str, Any]:
        data = bytearray()
        while (byte := self._receiving.read(1)) != b"\0":
            if not byte:
                raise PageError("chromium ended")
            data += byte
        got: dict[str, Any] = json.loads(data)
        if "method" in got:
            self._events.append(got)
            if got["method"] == "Network.requestWillBeSent":
                self.requests.append(got["params"]["request"]["url"])
        return got


@contextmanager
def chromium() -> Iterator[Tab]:
    """A browser with one tab; no name resolves in it."""
    ours, theirs = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(
        prefix="homeport-chromium-",
        # Processes of the browser may still write while it ends.
        ignore_cleanup_errors=True,
    ) as profile:
        process = subprocess.Popen(
            [sys.executable, "-c", _START, str(ours[0]), str(theirs[1]), "chromium", *_FLAGS,
             f"--user-data-dir={profile}"],
            pass_fds=(ours[0], theirs[1]), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(ours[0])
        os.close(theirs[1])
        try:
            tab = Tab(ours[1], theirs[0])
            yield tab
            tab.close()
        finally:
            process.terminate()
            process.wait()
