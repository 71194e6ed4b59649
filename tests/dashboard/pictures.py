"""Takes the pictures of the documentation: every view, light and dark, wide and as on a phone."""

import base64
import json
import math
import random
import sqlite3
import sys
import threading
import time
import urllib.request
from http.server import ThreadingHTTPServer
from pathlib import Path

from browser import Browser, signed_in
from service import Receiver, Service, until

SEED = 7
# Pixels of a picture.
TALLEST = 1400
CHEFS = ["chef", "nonna", "streetfood", "bakery"]
MESSAGE = """For the autumn campaign: https://www.youtube.com/watch?v=known0000001
https://www.tiktok.com/@chef/video/7301234567890100777, https://www.instagram.com/p/CxYzAutumn1/
and the trailer (https://vimeo.com/90210)
"""


def urls(count, random_numbers):
    """Post URLs of three platforms."""
    shapes = [
        lambda n: f"https://www.tiktok.com/@{random_numbers.choice(CHEFS)}/video/73012345678{n:08}",
        lambda n: f"https://www.youtube.com/watch?v=vid{n:08}",
        lambda n: f"https://www.instagram.com/p/Cx{n:08}/",
    ]
    return [shapes[place % 3](random_numbers.randrange(10**8)) for place in range(count)]


def fill_minutes(path, random_numbers):
    """The figures of a day, in place of those that the service has counted since it started."""

    def bucket(seconds):
        tenths = int(seconds * 10)
        shift = tenths.bit_length() - 4
        return 16 + (tenths if shift < 1 else (shift + 1) * 8 + (tenths >> shift) - 8)

    file = sqlite3.connect(path)
    file.execute("DELETE FROM minutes")
    now = int(time.time() // 60)
    for minute in range(now - 24 * 60, now + 1):
        load = 1.2 + math.sin(minute / 170) + 0.6 * math.sin(minute / 9)
        sent = max(0, round(random_numbers.gauss(7 * load, 3)))
        counts = {0: sent * 2, 1: sent}
        for _ in range(sent):
            delay = bucket(max(8, random_numbers.lognormvariate(3.9, 0.35)))
            counts[delay] = counts.get(delay, 0) + 1
        for measure, count in counts.items():
            file.execute("INSERT INTO minutes VALUES (?, ?, ?)", (minute, measure, count))
    file.commit()
    file.close()


def prepare():
    """A service in the middle of a working day. Returns it, and the views to show."""
    numbers = random.Random(SEED)
    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    hook = f"http://127.0.0.1:{receiver.server_port}"
    service = Service(
        faults=["--fail-video", "0.04", "--no-video", "0.02", "--seed", str(SEED)],
        FORWARD__ALLOW_PRIVATE="true", FORWARD__ALLOW_HTTP="true", RECONCILE__SETTLE_AFTER="100ms",
        RECONCILE__AFTER="200ms", DISPATCH__MAX_URLS_PER_DAY="500",
    )
    for body in [
        {"name": "crm", "url": f"{hook}/scrapes", "events": ["job.settled", "video.*"], "labels": {"team": "crm"}},
        {"name": "on-call", "url": f"{hook}/alerts", "events": ["problem.*"], "format": "slack"},
        {"name": "warehouse", "url": f"{hook}/load", "events": ["job.*"]},
    ]:
        service.call("/v1/subscribers", body)
    known = ["https://www.youtube.com/watch?v=known0000001"]
    for count, labels in [
        (1, {}),
        (60, {"campaign": "summer", "team": "news"}),
        (24, {"campaign": "autumn", "team": "crm"}),
        (90, {"campaign": "autumn", "team": "crm"}),
        (45, {"team": "research"}),
        (12, {"campaign": "autumn", "team": "news"}),
    ]:
        given = known if count == 1 else urls(count, numbers)
        job = service.call("/v1/jobs", {"video_urls": given, "labels": labels})["id"]
        until(lambda job=job: service.call(f"/v1/jobs/{job}")["state"] != "running", "the job has settled")
    service.restart_simulator(["--cut", "--lose"])
    service.call("/v1/jobs", {"video_urls": urls(1, numbers), "labels": {"team": "research"}})
    unconfirmed = until(lambda: service.call("/v1/tasks?state=unconfirmed")["items"], "an answer is lost")[0]["id"]
    service.restart_simulator([])
    for body in [
        {"taskId": "8d0c0b5e-7a1f-4b02-9a55-2b8a4a7f3c11", "status": "SUCCEEDED"},
        {"taskId": "not-one-of-ours", "status": "INDEXING_SUCCEEDED", "videoId": "VI606041694843813888"},
    ]:
        request = urllib.request.Request(f"{service.base}/callback", json.dumps(body).encode())
        urllib.request.urlopen(request, timeout=30).close()
    running = {"video_urls": urls(400, numbers), "labels": {"campaign": "winter", "team": "crm"}, "priority": "high"}
    running = service.call("/v1/jobs", running)["id"]
    low = {"video_urls": urls(70, numbers), "labels": {"team": "archive"}, "priority": "low", "unique_id": "archive"}
    service.call("/v1/jobs", low)
    until(lambda: service.call("/v1/status")["today"]["urls_left"] == 0, "the budget is spent")
    until(lambda: under_way(service.call(f"/v1/jobs/{running}")) == 0, "the URLs that were sent have ended")
    service.stop()
    fill_minutes(service.database, numbers)
    service.serve()
    partial = service.call("/v1/jobs?state=partial")["items"][0]["id"]
    task = service.call(f"/v1/jobs/{partial}")["tasks"][0]["id"]
    subscriber = next(one["id"] for one in service.call("/v1/subscribers")["items"] if one["name"] == "crm")
    return service, {
        "overview": "/",
        "jobs": "/jobs",
        "job": f"/jobs/{partial}",
        "job-running": f"/jobs/{running}",
        "tasks": "/tasks",
        "task": f"/tasks/{task}",
        "task-unconfirmed": f"/tasks/{unconfirmed}",
        "videos": "/videos",
        "queue": "/queue",
        "quarantine": "/quarantine",
        "subscribers": "/subscribers",
        "subscriber": f"/subscribers/{subscriber}",
        "submit": "/submit",
    }


def under_way(job):
    return job["progress"]["sent"] + job["progress"]["downloaded"]


def save(browser, path):
    """Saves the page, or its top if it is long."""
    size = browser.run("return [innerWidth, document.documentElement.scrollHeight]")
    clip = {"x": 0, "y": 0, "width": size[0], "height": min(size[1], TALLEST), "scale": 1}
    asked = {"format": "webp", "quality": 82, "clip": clip, "captureBeyondViewport": True}
    picture = browser.driver.execute_cdp_cmd("Page.captureScreenshot", asked)
    path.write_bytes(base64.b64decode(picture["data"]))


def take(folder, service, views):
    for width, height, dark in [(1280, 900, False), (1280, 900, True), (390, 844, False), (390, 844, True)]:
        look = {"width": width, "height": height, "dark": dark}
        end = f"{'phone' if width < 700 else 'wide'}-{'dark' if dark else 'light'}.webp"
        browser = Browser(service.base, **look)
        browser.open()
        browser.find("input[name=key]")
        save(browser, folder / f"sign-in-{end}")
        browser.close()
        browser = signed_in(service, **look)
        for name, view in views.items():
            browser.open(view)
            browser.find("main .card")
            if name == "submit":
                browser.find("textarea").send_keys(MESSAGE)
                browser.button("Check").click()
                browser.until_text("indexed already")
            browser.settled()
            save(browser, folder / f"{name}-{end}")
        browser.close()


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    service, views = prepare()
    try:
        take(folder, service, views)
    finally:
        service.close()


if __name__ == "__main__":
    main()
