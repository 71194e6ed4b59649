"""The real service with a simulated API, each a process that ends with the test."""

import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

BINARY = Path(__file__).resolve().parents[2] / "target" / "debug" / "scrapehook"
WRITE_KEY = "write-key-of-the-dashboard"
READ_KEY = "read-key-of-the-dashboard"
# Seconds in which something must have happened.
DEADLINE = 30


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def until(fact, what):
    """Waits until `fact` returns something true, and returns it."""
    end = time.monotonic() + DEADLINE
    while True:
        found = fact()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"it never came to that: {what() if callable(what) else what}")
        time.sleep(0.05)


class Service:
    """`scrapehook simulate` and `scrapehook serve`."""

    def __init__(self, keys=f"me:write:{WRITE_KEY},you:read:{READ_KEY}", index_delay="300ms"):
        self.folder = tempfile.TemporaryDirectory()
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.simulator, said = self._start(
            ["simulate", "--listen", "127.0.0.1:0", "--download-delay", "100ms", "--index-delay", index_delay], {}
        )
        upstream = until(lambda: re.search(r"http://[0-9.:]+", said.read_text()), "the simulator listens").group()
        self.environment = {
            "SCRAPEHOOK_SERVER__LISTEN": f"127.0.0.1:{self.port}",
            "SCRAPEHOOK_SERVER__PUBLIC_URL": self.base,
            "SCRAPEHOOK_STORE__PATH": f"{self.folder.name}/scrapehook.db",
            "SCRAPEHOOK_UPSTREAM__BASE_URL": upstream,
            "SCRAPEHOOK_DISPATCH__MIN_INTERVAL": "1ms",
            "MEMORIES_API_KEY": "simulator",
        }
        if keys:
            self.environment["SCRAPEHOOK_AUTH__API_KEYS"] = keys
        self.process = None
        self.serve()

    def _start(self, arguments, environment):
        said = Path(self.folder.name) / f"{arguments[0]}.log"
        with said.open("ab") as output:
            process = subprocess.Popen(
                [BINARY, *arguments], stdout=output, stderr=output, env={**os.environ, **environment}
            )
        return process, said

    def serve(self):
        """Starts the service."""
        self.process, _ = self._start(["serve"], self.environment)

        def answers():
            try:
                return urllib.request.urlopen(f"{self.base}/readyz", timeout=5).status == 200
            except OSError:
                return False

        until(answers, "the service answers")

    def stop(self, kill=False):
        """Ends the service, which can be started again."""
        self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        self.process.wait(DEADLINE)

    def close(self):
        self.stop()
        self.simulator.kill()
        self.simulator.wait(DEADLINE)
        self.folder.cleanup()

    def call(self, path, body=None, method=None):
        """An API request with the key that may write. Returns the answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {WRITE_KEY}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return json.load(answer)

    def submit(self, count=3, **settings):
        """A job with so many URLs. Returns its id."""
        self.submitted = getattr(self, "submitted", 0) + 1
        urls = [f"https://www.youtube.com/watch?v=d{self.submitted:04}{n:06}" for n in range(count)]
        return self.call("/v1/jobs", {"video_urls": urls, **settings})["id"]
