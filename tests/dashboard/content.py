"""What the page shows: what strangers write, what is searched for, and what is pasted."""

import json
import threading
import urllib.request
from http.server import ThreadingHTTPServer

from browser import signed_in
from selenium.webdriver.common.keys import Keys
from service import Receiver, Service, until

HOSTILE = "<img src=x onerror=alert(1)>\"'&{{7*7}}"


def what_strangers_write_stays_text(service):
    url = "https://example.com/post?a='onerror=alert(1)//&b=%3Cscript%3E&c=%7B%7B7*7%7D%7D"
    job = service.call("/v1/jobs", {"video_urls": [url], "labels": {HOSTILE: HOSTILE}, "unique_id": HOSTILE})["id"]
    task = service.call(f"/v1/jobs/{job}?wait=30s")["tasks"][0]["id"]
    upstream_id = service.call(f"/v1/tasks/{task}")["upstream_id"]
    bodies = [
        {"taskId": upstream_id, "status": HOSTILE, "message": HOSTILE},
        {"taskId": upstream_id, "status": "INDEXING_SUCCEEDED", "videoId": f"VI{HOSTILE}", "message": HOSTILE},
        {"taskId": upstream_id, "status": "FAILED", "message": HOSTILE},
    ]
    for body in bodies:
        assert service.call_back(task, json.dumps(body).encode()) == 200
    # Not JSON, a long number, and deep: each is shown as it came.
    number = b'{"videoId":12345678901234567890,"a":[],"b":{"c":"\\u003c"}}'
    for body in [HOSTILE.encode(), number, b"[" * 9000 + b"]" * 9000]:
        assert service.call_back(task, body) == 200
    hint = urllib.request.Request(f"{service.base}/callback", HOSTILE.encode())
    assert urllib.request.urlopen(hint, timeout=30).status == 202
    browser = signed_in(service)
    for view, words in [
        ("/jobs", HOSTILE),
        (f"/jobs/{job}", HOSTILE),
        (f"/jobs/{job}", url),
        (f"/tasks/{task}", HOSTILE),
        (f"/tasks/{task}", f'"videoId": "VI{json.dumps(HOSTILE)[1:]}'),
        (f"/tasks/{task}", '"videoId": 12345678901234567890'),
        (f"/tasks/{task}", '"c": "\\u003c"'),
        ("/videos", HOSTILE),
        ("/quarantine", HOSTILE),
        (f"/jobs?q={HOSTILE}", job[-8:]),
        (f"/jobs/{HOSTILE}", "Not found"),
        (f"/tasks/{HOSTILE}", "Not found"),
        (f"/jobs?label={HOSTILE}", "must be `key:value`"),
        (f"/nothing/{HOSTILE}", "There is no such view"),
    ]:
        browser.open(view.replace("%", "%25"))
        browser.until_text(words)
        assert not browser.driver.find_elements("css selector", "img[src=x], script:not([src])"), view
        browser.assert_accessible()
    browser.close(expected=["404 (Not Found)", "400 (Bad Request)"])


def a_video_is_found_by_its_id_and_by_any_spelling_of_its_url(service):
    urls = ["https://youtu.be/o9vgXOH4ET0", "https://www.tiktok.com/@chef/video/7301234567890123456"]
    job = service.call("/v1/jobs", {"video_urls": urls, "labels": {"team": "news"}})["id"]
    service.call(f"/v1/jobs/{job}?wait=30s")
    videos = {video["url"]: video["id"] for video in service.call("/v1/videos")["items"]}
    wanted = videos[urls[0]]
    browser = signed_in(service)
    spellings = ["https://www.youtube.com/watch?v=o9vgXOH4ET0&t=3", "https://m.youtube.com/shorts/o9vgXOH4ET0"]
    for asked in [wanted, urls[0], *spellings]:
        browser.open("/videos")
        browser.until_text(videos[urls[1]])
        browser.find("input[name=q]").send_keys(asked)
        browser.button("Search").click()
        browser.until_text(wanted)
        browser.until_no_text(videos[urls[1]])
        assert "q=" in browser.driver.current_url, "the search can be shared"
    browser.open("/videos?q=https://youtu.be/AAAAAAAAAAA")
    browser.until_text("No video matches")
    browser.assert_accessible()
    for asked in ["@chef", "team:ne", videos[urls[1]], job]:
        browser.open("/jobs")
        browser.find("input[name=q]").send_keys(asked)
        browser.button("Search").click()
        browser.until_text(f"…{job[-8:]}")
    browser.open("/jobs?q=nothing-like-that")
    browser.until_text("No job matches")
    browser.close()


def a_pasted_message_is_planned_with_its_faults_in_place_and_sent(service):
    service.call(f"/v1/jobs/{service.submit(1)}?wait=30s")
    browser = signed_in(service)
    browser.open("/submit")
    area = browser.find("textarea")
    area.send_keys("Look: https://youtu.be/d0001000000, and (https://vimeo.com/10002).\nnot a url\n")
    browser.button("Check").click()
    browser.until_text("Line 2: not a url")
    mark = browser.find(".marks span")
    assert mark.value_of_css_property("top") == "20px", "the second line is marked"
    browser.assert_accessible()
    browser.button("Line 2").click()
    assert browser.run("return document.activeElement.value.slice(document.activeElement.selectionStart, "
                       "document.activeElement.selectionEnd)") == "not a url"
    area.clear()
    area.send_keys("Look: https://youtu.be/d0001000000, and (https://vimeo.com/10002).\n")
    assert not browser.driver.find_elements("css selector", ".marks span")
    browser.button("Check").click()
    browser.until_text("2 URLs: 1 vimeo")
    browser.until_text("1 URL is indexed already")
    assert len(service.call("/v1/jobs")["items"]) == 1, "the check has stored nothing"
    browser.button("Send 2 URLs").click()
    browser.until_text("1 indexed")
    browser.until_text("1 known")
    browser.close(expected=["422 (Unprocessable"])


def ten_thousand_pasted_urls_are_planned_and_their_faults_marked(service):
    service.call("/v1/pause", method="POST")
    browser = signed_in(service)
    browser.open("/submit")
    browser.find("textarea")
    fill = ("const area = document.querySelector('textarea'); area.value = arguments[0];"
            "area.dispatchEvent(new Event('input', {bubbles: true}))")
    lines = [f"https://www.youtube.com/watch?v=p{n:010}" for n in range(10_000)]
    browser.run(fill, "\n".join(["url", *lines[:5000], "ftp://x", *lines[5000:9998], "nothing"]))
    browser.button("Check").click()
    browser.until_text("Line 5002: ftp://x")
    browser.until_text("Line 10001: nothing")
    browser.run(fill, "\n".join(lines))
    browser.button("Check").click()
    browser.until_text("10,000 URLs: 10,000 youtube")
    browser.button("Send 10,000 URLs").click()
    browser.until_text("10,000 waiting")
    browser.assert_accessible()
    browser.close(expected=["422 (Unprocessable"])


def a_subscriber_shows_its_deliveries_and_is_tested(_service):
    service = Service(FORWARD__ALLOW_PRIVATE="true", FORWARD__ALLOW_HTTP="true")
    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{receiver.server_port}/scrapes"
    service.call("/v1/subscribers", {"name": "crm", "url": url, "events": ["job.*"]})
    service.call(f"/v1/jobs/{service.submit(1)}?wait=30s")
    browser = signed_in(service)
    browser.open("/subscribers")
    browser.until_text(url)
    browser.find("tbody a").click()
    browser.until_text("job.settled")
    browser.until_text("HTTP 200")
    browser.button("Send a test").click()
    browser.until_text("Delivered: HTTP 200 in")
    browser.assert_accessible()
    receiver.shutdown()
    receiver.server_close()
    browser.button("Send a test").click()
    browser.until_text("Not delivered:")
    browser.button("Disable").click()
    browser.until_text("Disable this subscriber?")
    browser.tab_to("Disable")
    browser.press(Keys.ENTER)
    browser.until_text("disabled")
    browser.close()
    service.close()


def ids_are_copied_on_click_and_times_are_exact_on_hover(service):
    job = service.submit(1)
    created = service.call(f"/v1/jobs/{job}?wait=30s")["created_at"]
    browser = signed_in(service)
    allowed = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"], "origin": service.base}
    browser.driver.execute_cdp_cmd("Browser.grantPermissions", allowed)
    browser.open(f"/jobs/{job}")
    browser.find("h1 button.copy").click()
    browser.until_text("Copied")
    copied = browser.driver.execute_async_script("navigator.clipboard.readText().then(arguments[0], arguments[0])")
    assert copied == job, copied
    assert browser.find(f"time[datetime='{created}']").get_attribute("title").endswith(f"({created})")
    until(lambda: browser.driver.title == "Jobs · scrapehook", "the title names the view")
    browser.close()


TESTS = [
    what_strangers_write_stays_text,
    a_video_is_found_by_its_id_and_by_any_spelling_of_its_url,
    a_pasted_message_is_planned_with_its_faults_in_place_and_sent,
    ten_thousand_pasted_urls_are_planned_and_their_faults_marked,
    a_subscriber_shows_its_deliveries_and_is_tested,
    ids_are_copied_on_click_and_times_are_exact_on_hover,
]
