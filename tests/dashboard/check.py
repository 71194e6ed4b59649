"""What the dashboard does, test by test. `run` calls it."""

import os
import sys
import traceback
from pathlib import Path

from browser import Browser
from service import READ_KEY, WRITE_KEY, Service, until

VIEWS = ["/", "/jobs", "/videos", "/queue", "/quarantine", "/subscribers", "/submit"]
HOSTILE = "<img src=x onerror=alert(1)>\"'&{{7*7}}"


def a_wrong_key_is_refused_and_a_right_one_signs_in_until_sign_out(service):
    browser = Browser(service.base)
    browser.open()
    browser.find("input[name=key]")
    browser.assert_accessible()
    browser.sign_in("not-a-key")
    browser.until_text("This service does not know this API key.")
    browser.assert_accessible()
    browser.sign_in(WRITE_KEY)
    browser.until_text("No problems.")
    browser.until_text("me (write)")
    assert "key" not in browser.run("return JSON.stringify([localStorage, sessionStorage, document.cookie])")
    browser.run("location.reload()")
    browser.until_text("me (write)")
    browser.button("Sign out").click()
    browser.until_text("Sign in to scrapehook")
    browser.open("/jobs")
    browser.until_text("Sign in to scrapehook")
    browser.close(expected=["401 (Unauthorized)"])


def a_job_is_watched_from_submit_to_its_end_without_a_reload(service):
    browser = signed_in(service)
    browser.run("window.isSame = true")
    service.call("/v1/pause", method="POST")
    browser.until_text("Sending is paused by me.")
    job = service.submit(4)
    browser.until_text(job[-8:])
    browser.open(f"/jobs/{job}")
    browser.until_text("4 waiting")
    service.call("/v1/resume", method="POST")
    browser.until_text("4 indexed")
    browser.until_text("done")
    browser.open()
    browser.until_text("No problems.")
    until(lambda: job[-8:] not in browser.text(), "the job has left the running ones")
    assert browser.run("return window.isSame") is True, "the page was loaded again"
    browser.close()


def what_strangers_write_stays_text(service):
    job = service.submit(1, labels={HOSTILE: HOSTILE})
    browser = signed_in(service)
    for view in ["/jobs", f"/jobs/{job}", f"/jobs/{HOSTILE}", f"/jobs?label={HOSTILE}"]:
        browser.open(view)
        browser.find("main h1, main .notice")
    browser.open(f"/jobs/{job}")
    browser.until_text(HOSTILE)
    assert not browser.driver.find_elements("css selector", "img[src=x]")
    browser.close(expected=["404 (Not Found)", "400 (Bad Request)"])


def a_job_is_canceled_and_retried_after_a_question_that_says_what_may_be_charged(service):
    service.call("/v1/pause", method="POST")
    job = service.submit(3)
    browser = signed_in(service)
    browser.open(f"/jobs/{job}")
    browser.button("Cancel").click()
    browser.until_text("Cancel 3 waiting URLs?")
    browser.assert_accessible()
    browser.button("Back").click()
    assert service.call(f"/v1/jobs/{job}")["state"] == "running"
    browser.button("Cancel").click()
    browser.button("Cancel 3 URLs").click()
    browser.until_text("canceled")
    browser.button("Retry").click()
    browser.until_text("Up to 3 URLs may be charged again.")
    browser.button("Retry 3 URLs").click()
    browser.until_text("3 waiting")
    service.call("/v1/resume", method="POST")
    browser.until_text("3 indexed")
    browser.close()


def a_pasted_message_is_planned_with_its_faults_in_place_and_sent(service):
    service.call(f"/v1/jobs/{service.submit(1)}?wait=30s")
    browser = signed_in(service)
    browser.open("/submit")
    area = browser.find("textarea")
    area.send_keys("Look: https://youtu.be/d0001000000, and (https://vimeo.com/10002).\nnot a url\n")
    browser.button("Check").click()
    browser.until_text("Line 2: not a url")
    browser.assert_accessible()
    area.clear()
    area.send_keys("Look: https://youtu.be/d0001000000, and (https://vimeo.com/10002).\n")
    browser.button("Check").click()
    browser.until_text("2 URLs: 1 vimeo")
    browser.until_text("1 URL is indexed already")
    assert len(service.call("/v1/jobs")["items"]) == 1, "the check has stored nothing"
    browser.button("Send 2 URLs").click()
    browser.until_text("1 indexed")
    browser.until_text("1 known")
    browser.close(expected=["422 (Unprocessable"])


def a_read_key_looks_and_can_not_act(service):
    service.call("/v1/pause", method="POST")
    job = service.submit(1)
    browser = Browser(service.base)
    browser.open(f"/jobs/{job}")
    browser.sign_in(READ_KEY)
    browser.until_text("you (read)")
    browser.until_text("1 waiting")
    names = [button.text for button in browser.driver.find_elements("css selector", "main .head button")]
    assert not {"Cancel", "Retry"} & set(names), names
    status = browser.driver.execute_async_script(
        "const done = arguments[1]; fetch(arguments[0], {method: 'POST'}).then((answer) => done(answer.status))",
        f"/v1/jobs/{job}/cancel",
    )
    assert status == 403, status
    browser.close(expected=["403 (Forbidden)"])


def a_lost_connection_is_shown_and_what_was_missed_is_caught_up_with(service):
    browser = signed_in(service)
    browser.until_text("Live")
    service.stop(kill=True)
    browser.until_text("Connection lost")
    service.serve()
    service.call("/v1/pause", method="POST")
    job = service.submit(1)
    until(lambda: browser.find(".live").text == "Live", "the connection is back")
    browser.until_text(job[-8:])
    service.call("/v1/resume", method="POST")
    browser.close(expected=["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE"])


def every_view_is_accessible_and_fits_from_360_px_on(service):
    job = service.submit(3, labels={"campaign": "autumn"})
    shots = os.environ.get("SCRAPEHOOK_SHOTS")
    for width, dark in [(1280, False), (1280, True), (360, False), (360, True)]:
        browser = signed_in(service, width=width, dark=dark)
        task = service.call(f"/v1/jobs/{job}?wait=30s")["tasks"][0]["id"]
        for view in [*VIEWS, f"/jobs/{job}", f"/tasks/{task}"]:
            browser.open(view)
            browser.find("main .card")
            browser.assert_accessible()
            browser.assert_fits()
            if shots:
                name = view.split("_")[0].strip("/").replace("/", "-") or "overview"
                theme = "dark" if dark else "light"
                browser.driver.save_screenshot(f"{shots}/{name}-{width}-{theme}.png")
        browser.close()


def without_keys_nobody_signs_in(_service):
    service = Service(keys=None)
    browser = Browser(service.base)
    browser.open()
    browser.until_text("No job is running")
    browser.until_text(f"curl {service.base}/v1/jobs")
    assert "Sign out" not in browser.text()
    browser.close()
    service.close()


def signed_in(service, **settings):
    browser = Browser(service.base, **settings)
    browser.open()
    browser.sign_in(WRITE_KEY)
    browser.find("nav.main")
    return browser


TESTS = [
    a_wrong_key_is_refused_and_a_right_one_signs_in_until_sign_out,
    a_job_is_watched_from_submit_to_its_end_without_a_reload,
    a_job_is_canceled_and_retried_after_a_question_that_says_what_may_be_charged,
    a_pasted_message_is_planned_with_its_faults_in_place_and_sent,
    a_read_key_looks_and_can_not_act,
    what_strangers_write_stays_text,
    a_lost_connection_is_shown_and_what_was_missed_is_caught_up_with,
    every_view_is_accessible_and_fits_from_360_px_on,
    without_keys_nobody_signs_in,
]


def main():
    chosen = [test for test in TESTS if not sys.argv[1:] or test.__name__ in sys.argv[1:]]
    if not chosen:
        sys.exit(f"no test has this name: {sys.argv[1:]}")
    failed = []
    for test in chosen:
        service = Service()
        try:
            test(service)
            print(f"ok      {test.__name__}", flush=True)
        except Exception:
            failed.append(test.__name__)
            print(f"FAILED  {test.__name__}\n{traceback.format_exc()}", flush=True)
            print((Path(service.folder.name) / "serve.log").read_text()[-2000:], flush=True)
        service.close()
    if failed:
        sys.exit(f"{len(failed)} of {len(chosen)} tests failed")


if __name__ == "__main__":
    main()
