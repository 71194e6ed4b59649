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
    browser.button("Submit 2 URLs").click()
    browser.until_text("1 indexed")
    browser.until_text("1 known")
    browser.close(expected=["422 (Unprocessable"])


PASTED = [
    ("https://www.instagram.com/p/Cabc'def/", ["https://www.instagram.com/p/Cabc'def/"]),
    ("https://youtu.be/a|b", ["https://youtu.be/a|b"]),
    ("https://youtu.be/a,https://youtu.be/b;https://youtu.be/c", [f"https://youtu.be/{one}" for one in "abc"]),
    ("www.youtube.com/watch?v=a,https://youtu.be/b", ["https://youtu.be/b", "www.youtube.com/watch?v=a"]),
    ("youtube.com/a (see https://example.com/b).", ["https://example.com/b", "youtube.com/a"]),
    ("**https://youtu.be/a** and \u201chttps://youtu.be/b\u201d!", ["https://youtu.be/a", "https://youtu.be/b"]),
    ("See https://en.wikipedia.org/wiki/A_(b), or https://youtu.be/c.",
     ["https://en.wikipedia.org/wiki/A_(b)", "https://youtu.be/c"]),
    ("id,url,title\r\n1,https://youtu.be/a,One\r\n\r\n2,\"https://youtu.be/b,c\",\"Two, \"\"2\"\"\"",
     ["https://youtu.be/a", "https://youtu.be/b,c"]),
    ("\ufeffURL;views\nhttps://youtu.be/a;7\n;8", ["https://youtu.be/a", ""]),
    ("url\tname\nhttps://youtu.be/a\tx", ["https://youtu.be/a"]),
    ("hello\n \n7", ["hello", "7"]),
    (" \n", []),
]


def no_pasted_url_is_cut_or_left_out_in_silence(service):
    browser = signed_in(service)
    script = "const [text, done] = arguments; import('/assets/pasted.js').then((file) => done(file.pasted(text)))"
    for text, expected in PASTED:
        found = browser.driver.execute_async_script(script, text)
        assert [one["url"] for one in found] == expected, (text, found)
    browser.close()


def what_was_checked_is_submitted_and_once_only(service):
    service.call("/v1/pause", method="POST")
    browser = signed_in(service)
    browser.open("/submit")
    area = browser.find("textarea")
    area.send_keys("https://youtu.be/AAAAAAAAAA1\n")
    browser.delay(1000)
    browser.button("Check").click()
    area.send_keys("https://youtu.be/AAAAAAAAAA2\n")
    until(lambda: browser.button("Check").is_enabled(), "the check has its answer")
    assert "1 youtube" not in browser.text(), "the plan of an older text is shown"
    browser.button("Check").click()
    browser.until_text("2 URLs: 2 youtube")
    # The answer is lost, and meanwhile somebody types.
    browser.delay(0)
    browser.run("const real = window.fetch; window.fetch = async (...request) => { await real(...request);"
                "window.fetch = real; throw new TypeError('lost') }")
    browser.button("Submit 2 URLs").click()
    browser.until_text("Check and submit again: the same job is not stored twice.")
    area.send_keys("x", Keys.BACKSPACE)
    browser.open("/jobs")
    browser.open("/submit")
    assert browser.find("textarea").get_attribute("value").count("youtu.be") == 2, "the text is kept"
    browser.button("Check").click()
    browser.button("Submit 2 URLs").click()
    browser.until_text("2 waiting")
    assert len(service.call("/v1/jobs")["items"]) == 1
    browser.open("/submit")
    assert browser.find("textarea").get_attribute("value") == ""
    browser.close()


def a_filter_keeps_its_text_and_the_focus_while_jobs_move(service):
    browser = signed_in(service)
    browser.open("/jobs")
    browser.find("input[name=q]").send_keys("spring")
    job = service.submit(1, labels={"season": "spring"})
    browser.until_text(job[-8:])
    assert browser.find("input[name=q]").get_attribute("value") == "spring"
    browser.press(Keys.ENTER)
    until(lambda: "q=spring" in browser.driver.current_url, "the address has the search")
    assert browser.focused() == "q", browser.focused()
    browser.find("select[name=state]").send_keys("done")
    until(lambda: "state=done" in browser.driver.current_url, "the address has the state")
    browser.until_text(job[-8:])
    browser.driver.back()
    until(lambda: browser.find("select[name=state]").get_attribute("value") == "", "the filter follows the address")
    browser.close()


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
    browser.button("Submit 10,000 URLs").click()
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
    no_pasted_url_is_cut_or_left_out_in_silence,
    what_was_checked_is_submitted_and_once_only,
    a_filter_keeps_its_text_and_the_focus_while_jobs_move,
    ten_thousand_pasted_urls_are_planned_and_their_faults_marked,
    a_subscriber_shows_its_deliveries_and_is_tested,
    ids_are_copied_on_click_and_times_are_exact_on_hover,
]
