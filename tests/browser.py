"""A headless Chromium, controlled through its DevTools protocol over a pipe."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
# For one response, on a busy machine.
TIMEOUT_SECONDS = 60


class Browser:
    """One page, and the workers that it starts. events: those of the browser, as (method, parameters)."""

    def __init__(self, *options: str):
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        to_browser, from_browser = os.pipe(), os.pipe()
        # Chromium reads its pipe at number 3 and writes to number 4.
        script = f'exec "$0" "$@" 3<&{to_browser[0]} 4>&{from_browser[1]}'
        command = [CHROMIUM, *OPTIONS, *options, f"--user-data-dir={self._folder.name}", "--remote-debugging-pipe"]
        self._process = subprocess.Popen(
            ["bash", "-c", script, *command, "about:blank"],
            pass_fds=(to_browser[0], from_browser[1]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser[0])
        os.close(from_browser[1])
        self._out, self._in = os.fdopen(to_browser[1], "wb", buffering=0), from_browser[0]
        os.set_blocking(self._in, False)
        self._rest, self._number, self._session = b"", 0, None
        self.events: list[tuple[str, dict]] = []
        target = next(t for t in self("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self._session = self("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self(f"{domain}.enable")
        self("Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=True, flatten=True)

    def __call__(self, method: str, **parameters) -> dict:
        """Do something, and wait for its result."""
        number = self._send(method, parameters, self._session)
        while True:
            answer = self._next()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def _send(self, method: str, parameters: dict, session: str | None) -> int:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        self._out.write(json.dumps(message).encode() + b"\0")
        return self._number

    def _next(self) -> dict:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while b"\0" not in self._rest:
            try:
                self._rest += os.read(self._in, 1 << 20)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError("the browser does not respond") from None
                time.sleep(0.005)
        message, self._rest = self._rest.split(b"\0", 1)
        event = json.loads(message)
        if event.get("method") == "Target.attachedToTarget" and event.get("sessionId"):  # a worker, which waits
            for domain in ("Runtime.enable", "Log.enable", "Network.enable", "Runtime.runIfWaitingForDebugger"):
                self._send(domain, {}, event["params"]["sessionId"])
        elif "method" in event:
            self.events.append((event["method"], event["params"]))
        return event

    def look(self, width: int, height: int, theme: str) -> None:
        """theme: light or dark."""
        self("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])

    def open(self, url: str) -> None:
        """Load a page to its end."""
        self.events.clear()
        self("Page.navigate", url=url)
        while not any(method == "Page.loadEventFired" for method, _ in self.events):
            self._next()
        self("Runtime.evaluate", expression="1")

    def ask(self, expression: str):
        """The value of some JavaScript, which is waited for if it is a promise."""
        found = self("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"])
        return found["result"].get("value")

    def screenshot(self, path: Path) -> None:
        """The whole page, beyond the window, too."""
        data = self("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    def complaints(self) -> list[str]:
        """Errors and warnings in the console, and exceptions that were not caught."""
        messages = []
        for method, parameters in self.events:
            if method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
                messages.append(parameters["entry"]["text"])
            elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
                messages.append(str(parameters["args"]))
            elif method == "Runtime.exceptionThrown":
                messages.append(str(parameters["exceptionDetails"]))
        return messages

    def requests(self) -> list[str]:
        """The addresses that the page requested."""
        sent = (parameters for method, parameters in self.events if method == "Network.requestWillBeSent")
        return [parameters["request"]["url"] for parameters in sent]

    def close(self) -> None:
        self._out.close()
        self._process.terminate()
        self._process.wait()
        os.close(self._in)
        self._folder.cleanup()
