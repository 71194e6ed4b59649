"""Jobs, tasks and the queue: what moves by itself, and what people decide."""

from browser import signed_in
from selenium.webdriver.common.keys import Keys
from service import Service, until

# What the console says of a service that has ended.
LOST = ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE"]


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


def sending_is_paused_and_resumed_and_a_job_is_put_first(service):
    browser = signed_in(service)
    browser.until_text("No problems.")
    browser.button("Pause sending").click()
    browser.until_text("Pause sending?")
    assert browser.focused() == "Back", "Enter alone decides nothing"
    browser.tab_to("Pause sending")
    browser.press(Keys.ENTER)
    browser.until_text("Sending is paused by me.")
    job = service.submit(2)
    browser.open(f"/jobs/{job}")
    browser.find("label.inline select").send_keys("high")
    browser.until_text("Send 2 waiting URLs with priority high?")
    browser.button("Back").click()
    assert service.call(f"/v1/jobs/{job}")["priority"] == "normal"
    assert browser.find("label.inline select").get_attribute("value") == "normal"
    browser.find("label.inline select").send_keys("high")
    browser.button("Set to high").click()
    until(lambda: service.call(f"/v1/jobs/{job}")["priority"] == "high", "the job has its priority")
    browser.open("/queue")
    browser.until_text("2 URLs in 1 request")
    browser.until_text("Sending is paused by me.")
    browser.until_text("high")
    browser.button("Resume sending").click()
    browser.until_text("Waiting URLs are sent, and may be charged.")
    browser.assert_accessible()
    browser.tab_to("Resume sending")
    browser.press(Keys.ENTER)
    browser.until_text("The queue is empty")
    service.call(f"/v1/jobs/{job}?wait=30s")
    browser.close()


def an_unconfirmed_task_is_explained_and_decided(_service):
    service = Service(faults=["--cut", "--lose"])
    service.submit(2)
    task = until(lambda: service.call("/v1/tasks?state=unconfirmed")["items"], "a task is unconfirmed")[0]["id"]
    browser = signed_in(service)
    browser.until_text("Show the unconfirmed tasks")
    browser.find("a[href='#/tasks?state=unconfirmed']").click()
    browser.until_text(task[-8:])
    browser.find(f"a[href='#/tasks/{task}']").click()
    browser.until_text("Nobody knows whether this request was taken, and so whether it was charged.")
    browser.assert_accessible()
    browser.button("Retry").click()
    browser.until_text("may be charged a second time")
    browser.press(Keys.ESCAPE)
    browser.button("Adopt").click()
    browser.find("dialog input").send_keys("31b0fccb-d6f9-4135-922d-1e8828499812", Keys.ENTER)
    browser.until_text("accepted")
    browser.until_no_text("Nobody knows")
    assert service.call(f"/v1/tasks/{task}")["upstream_id"] == "31b0fccb-d6f9-4135-922d-1e8828499812"
    # Another one is given up.
    other = service.submit(1)
    task = until(lambda: service.call("/v1/tasks?state=unconfirmed")["items"], "a task is unconfirmed")[0]["id"]
    browser.open(f"/tasks/{task}")
    browser.button("Give up").click()
    browser.until_text("It may have been charged.")
    browser.tab_to("Give up")
    browser.press(Keys.ENTER)
    browser.until_no_text("Nobody knows whether this request")
    browser.button("Adopt")
    browser.button("Retry").click()
    browser.until_text("Up to 1 URL may be charged a second time, because nobody knows")
    browser.button("Send 1 URL again").click()
    until(lambda: f"/tasks/{task}" not in browser.driver.current_url, "the view of the new task is shown")
    browser.until_text("Retry of")
    assert service.call(f"/v1/jobs/{other}")["progress"]["urls"] == 1
    browser.close()
    service.close()


def a_refused_decision_says_why_and_changes_nothing(service):
    service.call("/v1/pause", method="POST")
    job = service.submit(1)
    browser = signed_in(service)
    browser.open(f"/jobs/{job}")
    browser.button("Cancel").click()
    # Somebody else is faster.
    service.call(f"/v1/jobs/{job}/cancel", method="POST")
    browser.button("Cancel 1 URL").click()
    browser.until_text("URLs that were sent cannot be canceled.")
    browser.assert_accessible()
    service.stop()
    browser.button("Cancel 1 URL").click()
    browser.until_text("There was no answer, so nobody knows whether it was done.")
    browser.close(expected=["409 (Conflict)", *LOST])


def a_question_stays_as_it_was_asked_and_is_answered_once(service):
    service.call("/v1/pause", method="POST")
    job = service.submit(3)
    browser = signed_in(service)
    browser.open(f"/jobs/{job}")
    browser.button("Cancel").click()
    browser.until_text("Cancel 3 waiting URLs?")
    # Below it, somebody else cancels the job.
    service.call(f"/v1/jobs/{job}/cancel", method="POST")
    browser.until_text("3 failed")
    assert "Cancel 3 waiting URLs?" in browser.text()
    browser.press(Keys.ESCAPE)
    browser.until_no_text("Cancel 3 waiting URLs?")
    browser.button("Retry").click()
    browser.until_text("Retry 3 canceled URLs?")
    browser.delay(1500)
    browser.button("Retry 3 URLs").click()
    back = browser.find("dialog button[type=button]")
    assert back.get_attribute("disabled"), "a decision that is on its way can't be taken back"
    browser.press(Keys.ESCAPE)
    assert "Retry 3 canceled URLs?" in browser.text()
    browser.until_no_text("Retry 3 canceled URLs?")
    browser.delay(0)
    browser.until_text("3 waiting")
    assert [event["kind"] for event in service.call(f"/v1/events?job={job}")["items"]].count("job.retried") == 1
    browser.close()


def only_the_failed_urls_of_a_partly_canceled_job_are_retried(_service):
    service = Service(faults=["--fail-task"], DISPATCH__MAX_URLS_PER_DAY="1")
    urls = ["https://youtu.be/AAAAAAAAAA1", "https://www.tiktok.com/@chef/video/7301234567890100777"]
    job = service.call("/v1/jobs", {"video_urls": urls})["id"]
    until(lambda: service.call(f"/v1/jobs/{job}")["progress"]["failed"] == 1, "one URL has failed")
    service.call(f"/v1/jobs/{job}/cancel", method="POST")
    browser = signed_in(service)
    browser.open(f"/jobs/{job}")
    browser.until_text("2 failed")
    browser.button("Retry").click()
    browser.until_text("Retry 1 failed URL?")
    browser.until_text(f"1 canceled URL is left out. To send them as well, run scrapehook retry {job} --code canceled.")
    browser.button("Retry 1 URL").click()
    browser.until_text("1 waiting")
    browser.close()
    service.close()


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
    browser.close(expected=LOST)


TESTS = [
    a_job_is_watched_from_submit_to_its_end_without_a_reload,
    a_job_is_canceled_and_retried_after_a_question_that_says_what_may_be_charged,
    sending_is_paused_and_resumed_and_a_job_is_put_first,
    an_unconfirmed_task_is_explained_and_decided,
    a_refused_decision_says_why_and_changes_nothing,
    a_question_stays_as_it_was_asked_and_is_answered_once,
    only_the_failed_urls_of_a_partly_canceled_job_are_retried,
    a_lost_connection_is_shown_and_what_was_missed_is_caught_up_with,
]
