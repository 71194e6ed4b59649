#!/usr/bin/env python3
"""Submits video URLs to memories.ai, waits until all of them are indexed, and prints their videos.

usage: upstream_client.py URL...

MEMORIES_BASE_URL   the API, by default https://api.memories.ai
MEMORIES_API_KEY    the API key
CALLBACK_HOST       the host under which the API reaches this machine, by default 127.0.0.1

It prints `video_no status video_url` for each video. The exit code is 1 if anything goes wrong.
"""

import json
import os
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BASE_URL = os.environ.get("MEMORIES_BASE_URL", "https://api.memories.ai").rstrip("/")
API_KEY = os.environ.get("MEMORIES_API_KEY", "")
CALLBACK_HOST = os.environ.get("CALLBACK_HOST", "127.0.0.1")

FOLDER = "default"
QUALITY = "360"
# The API takes up to 50 URLs of one platform in a call.
MAX_URLS = 50
# Seconds until the client gives up, for one call and for all of it.
CALL_TIMEOUT = 60
DEADLINE = 600


class Failure(Exception):
    """Something that the user should read."""


class Callbacks:
    """The callbacks that have arrived. One can arrive before the answer to the submit that it is about."""

    def __init__(self):
        self._changed = threading.Condition()
        self._downloaded = set()
        self._indexed = {}
        self._failed = {}

    def add(self, callback):
        task, status = callback.get("taskId"), callback.get("status")
        with self._changed:
            if status == "SUCCEEDED":
                self._downloaded.add(task)
            elif status == "INDEXING_SUCCEEDED":
                # A set, because a callback may come twice.
                self._indexed.setdefault(task, set()).add(callback.get("videoId"))
            elif "FAILED" in str(status):
                self._failed[task] = f"{status}: {callback.get('message')}"
            self._changed.notify_all()

    def wait_for(self, task, videos, end):
        """Waits until a task is downloaded and this many videos are indexed."""

        def is_complete():
            if task in self._failed:
                raise Failure(f"task {task}: {self._failed[task]}")
            return task in self._downloaded and len(self._indexed.get(task, ())) >= videos

        with self._changed:
            if not self._changed.wait_for(is_complete, timeout=max(0, end - time.monotonic())):
                downloaded = "downloaded" if task in self._downloaded else "not downloaded"
                indexed = len(self._indexed.get(task, ()))
                raise Failure(f"task {task}: no news, {downloaded}, {indexed} of {videos} videos indexed")


def listen(callbacks):
    """Starts the listener for callbacks and returns its URL."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 30

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                callbacks.add(json.loads(body))
            except (ValueError, AttributeError):
                self.send_error(400)
                return
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    is_local = CALLBACK_HOST in ("127.0.0.1", "localhost")
    server = ThreadingHTTPServer(("127.0.0.1" if is_local else "", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://{CALLBACK_HOST}:{server.server_port}/"


def call(method, path, body=None, query=None):
    """Sends a request and returns the `data` of its answer."""
    url = f"{BASE_URL}/serve/api/v1/{path}"
    if query:
        url += "?" + urllib.parse.urlencode(query)
    request = urllib.request.Request(url, method=method, headers={"Authorization": API_KEY})
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    wait = 1
    while True:
        try:
            with urllib.request.urlopen(request, timeout=CALL_TIMEOUT) as response:
                status, text = response.status, response.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        except OSError as error:
            raise Failure(f"{path}: no answer: {error}") from error
        try:
            answer = json.loads(text)
            code = str(answer["code"]).zfill(4)
        except (ValueError, TypeError, KeyError):
            raise Failure(f"{path}: HTTP {status} without a code: {text[:200]!r}") from None
        # Errors come with HTTP 200, too, so the code decides. It may be a number without its leading zeros.
        if code == "0000":
            return answer.get("data") or {}
        if code == "0429" and wait <= 32:
            time.sleep(wait)
            wait *= 2
            continue
        raise Failure(f"{path}: code {code}: {answer.get('msg')}")


def platform(url):
    """A name for the platform of a URL: the last two parts of its host."""
    host = urllib.parse.urlsplit(url).hostname
    if not host:
        raise Failure(f"not a URL: {url}")
    return "youtube.com" if host == "youtu.be" else ".".join(host.split(".")[-2:])


def requests_for(urls):
    """The lists of URLs that the API takes: one platform each, and not too many."""
    by_platform = {}
    for url in urls:
        by_platform.setdefault(platform(url), []).append(url)
    for group in by_platform.values():
        for start in range(0, len(group), MAX_URLS):
            yield group[start : start + MAX_URLS]


def main(urls):
    if not urls:
        raise Failure(__doc__.split("\n")[2])
    if not API_KEY:
        raise Failure("MEMORIES_API_KEY is not set")
    end = time.monotonic() + DEADLINE
    callbacks = Callbacks()
    callback_url = listen(callbacks)
    tasks = []
    for group in requests_for(urls):
        body = {"video_urls": group, "unique_id": FOLDER, "quality": QUALITY, "callback_url": callback_url}
        task = call("POST", "scraper_url", body=body).get("taskId")
        if not task:
            raise Failure("scraper_url: success without a taskId")
        tasks.append((task, group))
    for task, group in tasks:
        callbacks.wait_for(task, len(group), end)
    for task, _ in tasks:
        data = call("GET", "get_video_ids_by_task_id", query={"task_id": task, "unique_id": FOLDER})
        videos = data.get("videos")
        if not videos:
            raise Failure(f"get_video_ids_by_task_id: task {task} lists no videos")
        for video in videos:
            print(video.get("video_no"), video.get("status"), video.get("video_url"))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failure as failure:
        sys.exit(f"upstream_client: {failure}")
