"""The real service with a simulated API, each a process that ends with the test."""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler
from pathlib import Path

DEBUG_BUILD = Path(__file__).resolve().parents[2] / "target" / "debug" / "scrapehook"
BINARY = os.environ.get("SCRAPEHOOK_BINARY", DEBUG_BUILD)
WRITE_KEY = "write-key-of-the-dashboard"
READ_KEY = "read-key-of-the-dashboard"
CALLBACK_SECRET = "callback-secret-of-the-dashboard"
# Seconds in which something must have happened.
DEADLINE = 30


def free_ports(count):
    """Ports that nobody has, below those that systems give to outgoing connections."""
    servers = []
    while len(servers) < count:
        with contextlib.suppress(OSError):
            servers.append(socket.create_server(("127.0.0.1", random.randrange(10_000, 30_000))))
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return ports


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


class Receiver(BaseHTTPRequestHandler):
    """Takes every webhook."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


class Service:
    """`scrapehook simulate` with these faults, and `scrapehook serve` with these settings."""

    def __init__(self, keys=f"me:write:{WRITE_KEY},you:read:{READ_KEY}", faults=(), **settings):
        self.folder = tempfile.TemporaryDirectory()
        self.port, upstream_port = free_ports(2)
        self.base = f"http://127.0.0.1:{self.port}"
        self.upstream = f"127.0.0.1:{upstream_port}"
        self.simulate(faults)
        self.environment = {
            "SCRAPEHOOK_SERVER__LISTEN": f"127.0.0.1:{self.port}",
            "SCRAPEHOOK_SERVER__PUBLIC_URL": self.base,
            "SCRAPEHOOK_STORE__PATH": self.database,
            "SCRAPEHOOK_UPSTREAM__BASE_URL": f"http://{self.upstream}",
            "SCRAPEHOOK_DISPATCH__MIN_INTERVAL": "1ms",
            "SCRAPEHOOK_CALLBACK__SECRET": CALLBACK_SECRET,
            "MEMORIES_API_KEY": "simulator",
            **{f"SCRAPEHOOK_{name}": value for name, value in settings.items()},
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

    def simulate(self, faults):
        """Starts the simulated API."""
        delays = ["--download-delay", "100ms", "--index-delay", "300ms"]
        self.simulator, said = self._start(["simulate", "--listen", self.upstream, *delays, *faults], {})
        until(lambda: f"http://{self.upstream}" in said.read_text(), "the simulator listens")

    def restart_simulator(self, faults):
        """Replaces the simulated API by one with these faults, which knows no task."""
        self.simulator.kill()
        self.simulator.wait(DEADLINE)
        (Path(self.folder.name) / "simulate.log").unlink()
        self.simulate(faults)

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
        if self.process.poll() is None:
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

    def call_back(self, task, body):
        """A callback for a task, with the token that proves it. Returns the status of the answer."""
        subject = bytes.fromhex(task.removeprefix("task_"))
        proof = hmac.new(CALLBACK_SECRET.encode(), b"scrapehook callback token 1" + subject, hashlib.sha256).digest()
        token = base64.urlsafe_b64encode(subject + proof[:16]).decode().rstrip("=")
        with urllib.request.urlopen(f"{self.base}/callback/{token}", body, timeout=DEADLINE) as answer:
            return answer.status

    @property
    def database(self):
        return f"{self.folder.name}/scrapehook.db"

    def submit(self, count=3, **settings):
        """A job with so many URLs. Returns its id."""
        self.submitted = getattr(self, "submitted", 0) + 1
        urls = [f"https://www.youtube.com/watch?v=d{self.submitted:04}{n:06}" for n in range(count)]
        return self.call("/v1/jobs", {"video_urls": urls, **settings})["id"]
