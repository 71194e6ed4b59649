"""Signing in, and what each kind of key may do."""

from browser import Browser
from selenium.webdriver.common.keys import Keys
from service import READ_KEY, WRITE_KEY, Service


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


def a_read_key_looks_and_can_not_act(service):
    service.call("/v1/pause", method="POST")
    job = service.submit(1)
    other = service.call(f"/v1/jobs/{service.submit(1)}/cancel", method="POST")["id"]
    browser = Browser(service.base)
    browser.open(f"/jobs/{job}")
    browser.sign_in(READ_KEY)
    browser.until_text("you (read)")
    browser.until_text("1 waiting")
    views = [(f"/jobs/{job}", "1 waiting"), (f"/jobs/{other}", "1 failed"), ("/queue", "1 URL in 1 request")]
    for view, words in views:
        browser.open(view)
        browser.until_text(words)
        names = [button.text for button in browser.driver.find_elements("css selector", "main .head button")]
        assert not {"Cancel", "Retry", "Resume sending", "Pause sending"} & set(names), (view, names)
    browser.open("/submit")
    browser.until_text("This key may not submit")
    status = browser.driver.execute_async_script(
        "const done = arguments[1]; fetch(arguments[0], {method: 'POST'}).then((answer) => done(answer.status))",
        f"/v1/jobs/{job}/cancel",
    )
    assert status == 403, status
    browser.close(expected=["403 (Forbidden)"])


def without_keys_nobody_signs_in(_service):
    service = Service(keys=None)
    browser = Browser(service.base)
    browser.open()
    browser.until_text("No job is running")
    browser.until_text(f"curl {service.base}/v1/jobs")
    browser.until_text(f"export SCRAPEHOOK_URL={service.base}\n")
    assert "Sign out" not in browser.text()
    browser.close()
    service.close()


def the_keyboard_alone_signs_in_finds_a_job_and_cancels_it(service):
    service.call("/v1/pause", method="POST")
    job = service.submit(2)
    browser = Browser(service.base)
    browser.open()
    browser.until_text("Sign in to scrapehook")
    browser.press(WRITE_KEY, Keys.ENTER)
    browser.until_text("me (write)")
    assert browser.run("return document.activeElement.id") == "content", "the focus is in the view"
    browser.driver.refresh()
    browser.find("nav.main")
    browser.press(Keys.TAB)
    assert browser.focused() == "Skip to the content", browser.focused()
    browser.press(Keys.ENTER)
    assert browser.run("return document.activeElement.id") == "content"
    browser.tab_to("Jobs")
    browser.press(Keys.ENTER)
    browser.until_text("Every state")
    browser.tab_to(f"…{job[-8:]}")
    browser.press(Keys.ENTER)
    browser.until_text("2 waiting")
    browser.tab_to("Cancel")
    browser.press(Keys.ENTER)
    browser.until_text("Cancel 2 waiting URLs?")
    browser.press(Keys.ESCAPE)
    browser.until_no_text("Cancel 2 waiting URLs?")
    assert service.call(f"/v1/jobs/{job}")["state"] == "running"
    assert browser.focused() == "Cancel", "the focus is where it was"
    browser.press(Keys.ENTER)
    browser.tab_to("Cancel 2 URLs")
    browser.press(Keys.ENTER)
    browser.until_text("canceled")
    browser.close()


TESTS = [
    a_wrong_key_is_refused_and_a_right_one_signs_in_until_sign_out,
    a_read_key_looks_and_can_not_act,
    without_keys_nobody_signs_in,
    the_keyboard_alone_signs_in_finds_a_job_and_cancels_it,
]
