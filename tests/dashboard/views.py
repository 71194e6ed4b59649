"""Every view: its accessibility, its width, its size, and how it does with a large database."""

import os
import statistics
import time

from browser import signed_in
from large import TASKS, TASKS_OF_A_JOB, fill
from service import until

VIEWS = ["/", "/jobs", "/tasks", "/videos", "/queue", "/quarantine", "/subscribers", "/submit"]
# Bytes of the first view, as they travel. Less can't be all of it.
LIGHTEST, HEAVIEST = 20_000, 100_000


def every_view_is_accessible_and_fits_from_360_px_on(service):
    job = service.submit(3, labels={"campaign": "autumn", "a-long-label": "with-a-long-value" * 5})
    task = service.call(f"/v1/jobs/{job}?wait=30s")["tasks"][0]["id"]
    subscriber = {"url": f"https://example.com/{'long' * 60}", "events": ["job.*"]}
    subscriber = service.call("/v1/subscribers", subscriber)["id"]
    for width, dark in [(1280, False), (1280, True), (360, False), (360, True)]:
        browser = signed_in(service, width=width, dark=dark)
        for view in [*VIEWS, f"/jobs/{job}", f"/tasks/{task}", f"/subscribers/{subscriber}"]:
            browser.open(view)
            browser.find("main .card")
            browser.assert_accessible()
            browser.assert_fits()
        browser.close()


def with_reduced_motion_nothing_moves(service):
    service.submit(2)
    browser = signed_in(service)
    browser.find(".progress span, .empty")
    moving = """const moves = (style) => style.animationName !== 'none'
        || style.transitionDuration.split(', ').some((time) => time !== '0s');
      return [...document.querySelectorAll('*')].filter((one) => moves(getComputedStyle(one)))
        .map((one) => one.outerHTML.slice(0, 80))"""
    browser.emulate(prefers_reduced_motion="reduce")
    assert browser.run(moving) == []
    browser.close()


def the_first_view_weighs_little(service):
    service.call(f"/v1/jobs/{service.submit(3)}?wait=30s")
    browser = signed_in(service)
    reload(browser)
    browser.messages()
    reload(browser)
    loaded = [one["params"] for one in browser.messages() if one["method"] == "Network.loadingFinished"]
    weight = sum(one["encodedDataLength"] for one in loaded)
    browser.close()
    # The notes of a browser about its requests slow them down.
    browser = signed_in(service, is_logged=False)
    times = [reload(browser) for _ in range(6)]
    print(f"        first view: {weight:,.0f} bytes, usable after {statistics.median(times[1:]):.0f} ms (median of 5)")
    assert LIGHTEST < weight < HEAVIEST, weight
    browser.close()


def reload(browser):
    """Loads the page without the cache. Returns after how many milliseconds it was usable."""
    browser.driver.execute_cdp_cmd("Network.clearBrowserCache", {})
    browser.run("window.isOld = true; location.reload()")
    until(lambda: not browser.run("return window.isOld"), "the page is loaded again")
    browser.until_text("No job is running")
    return browser.run("return performance.getEntriesByName('usable')[0].startTime")


def a_hundred_thousand_tasks_are_listed_and_searched(service):
    service.call(f"/v1/jobs/{service.submit(3)}?wait=30s")
    service.stop()
    fill(service.database)
    service.serve()
    assert service.call("/v1/status")["counts"]["tasks"]["indexed"] == TASKS * 18 // 20 + 1
    browser = signed_in(service)
    last, middle = TASKS // TASKS_OF_A_JOB - 1, 4_321
    for view, words in [
        ("/", f"{TASKS * 18 // 20 + 3:,}"),
        ("/jobs", f"b{1000 + last:05}"),
        ("/jobs?state=running", f"b{999 + last:05}"),
        (f"/jobs?label=batch:b{1000 + middle:05}", f"b{1000 + middle:05}"),
        (f"/jobs?q=b{1000 + middle:05}", f"b{1000 + middle:05}"),
        ("/jobs?q=https://youtu.be/L0000000001", "b01000"),
        ("/tasks", "youtube"),
        ("/tasks?state=unconfirmed", "unconfirmed"),
        ("/videos", "VIL"),
        ("/videos?q=https://m.youtube.com/watch?v%3DL0000000000", "VIL0000000000"),
        ("/queue", "The queue is empty"),
        (f"/jobs/job_01a0{last:028x}", "10 URLs"),
    ]:
        began = time.monotonic()
        browser.open(view)
        browser.until_text(words)
        print(f"        {view}: {1000 * (time.monotonic() - began):.0f} ms")
    browser.open("/tasks")
    for shown in (100, 200, 300):
        browser.find(f"tbody tr:nth-child({shown}):last-child")
        browser.button("Show more").click()
    browser.assert_accessible()
    browser.close()


def memory_does_not_grow_with_events(service):
    """`SCRAPEHOOK_EVENTS` events as fast as they come, or so many a second with `SCRAPEHOOK_EVENTS_PER_SECOND`."""
    wanted = int(os.environ.get("SCRAPEHOOK_EVENTS", "6000"))
    pace = float(os.environ.get("SCRAPEHOOK_EVENTS_PER_SECOND", "0"))
    browser = signed_in(service)
    browser.until_text("Live")
    count = """window.heard = 0;
      const source = new EventSource('/v1/events/stream');
      for (const kind of arguments[0]) source.addEventListener(kind, () => { window.heard += 1 })"""
    kinds = ["job.created", "job.settled", "task.accepted", "task.settled", "task.submitting", "task.queued",
             "task.downloaded", "video.indexing", "video.indexed"]
    browser.run(count, kinds)

    def used():
        browser.driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
        metrics = browser.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        values = {one["name"]: one["value"] for one in metrics}
        return values["JSHeapUsedSize"], values["Nodes"]

    browser.driver.execute_cdp_cmd("Performance.enable", {})
    figures = []
    began = time.monotonic()
    for part in range(1, 7):
        while (heard := browser.run("return window.heard")) < wanted * part // 6:
            ahead = heard / pace - (time.monotonic() - began) if pace else 0
            if ahead > 0:
                time.sleep(min(ahead, 1))
                continue
            job = service.submit(50 if not pace else 1)
            service.call(f"/v1/jobs/{job}?wait=30s")
        figures.append(used())
        print(f"        {heard:,} events: {figures[-1][0] / 1024:,.0f} KiB, {figures[-1][1]:,.0f} nodes", flush=True)
        browser.driver.get_log("performance")
    # The page is warm after the first part. What grows with events would have grown sixfold.
    assert figures[-1][0] < 1.3 * figures[0][0], figures
    assert figures[-1][1] < 1.5 * figures[0][1], figures
    browser.close()


TESTS = [
    every_view_is_accessible_and_fits_from_360_px_on,
    with_reduced_motion_nothing_moves,
    the_first_view_weighs_little,
    a_hundred_thousand_tasks_are_listed_and_searched,
    memory_does_not_grow_with_events,
]
