"""A page in Chromium, and what must be true of it after each test."""

import json
from pathlib import Path
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from service import WRITE_KEY, until

AXE = (Path(__file__).parent / "axe.min.js").read_text()


class Browser:
    """One window. It notes what the console says and, unless it has to be fast, which hosts are asked."""

    def __init__(self, base, width=1280, height=900, dark=False, is_logged=True):
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        size = f"--window-size={width},{height}"
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", size):
            options.add_argument(argument)
        logs = {"browser": "ALL", "performance": "ALL"} if is_logged else {"browser": "ALL"}
        options.set_capability("goog:loggingPrefs", logs)
        self.driver = webdriver.Chrome(options, Driver("/usr/bin/chromedriver"))
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700},
        )
        self.emulate(prefers_color_scheme="dark" if dark else "light")
        self.base = base
        self.is_logged = is_logged

    def open(self, view="/"):
        self.driver.get(f"{self.base}/#{view}")

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def text(self):
        return self.run("return document.body.innerText")

    def until_text(self, words):
        """Waits until the page shows these words."""
        return until(lambda: words in self.text(), lambda: f"the page shows {words!r}: {self.text()!r}")

    def until_no_text(self, words):
        """Waits until the page does not show these words."""
        until(lambda: words not in self.text(), f"the page still shows {words!r}")

    def find(self, selector):
        """Waits for an element."""
        found = until(lambda: self.driver.find_elements(By.CSS_SELECTOR, selector), f"the page has {selector}")
        return found[0]

    def button(self, name):
        """Waits for a button with this text."""
        path = f"//button[normalize-space()='{name}']"
        return until(lambda: self.driver.find_elements(By.XPATH, path), f"the page has the button {name!r}")[0]

    def press(self, *keys):
        """Presses keys, as on a keyboard, wherever the focus is."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def focused(self):
        """The text of the element that has the focus, or its name."""
        script = "const at = document.activeElement; return at.innerText.trim() || at.name || at.ariaLabel || at.id"
        return self.run(script)

    def tab_to(self, name):
        """Presses Tab until the element with this text has the focus."""
        passed = []
        while self.focused() != name:
            assert len(passed) < 60, f"Tab never comes to {name!r}: {passed}"
            passed.append(self.focused())
            self.press(Keys.TAB)

    def emulate(self, **features):
        """Media features of the system, such as `prefers_reduced_motion="reduce"`."""
        media = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})

    def messages(self):
        """What the browser has said of its requests since the last call. Each request went to the service."""
        if not self.is_logged:
            return []
        said = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        for message in said:
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                is_own = url.startswith(self.base + "/") or urlsplit(url).scheme in ("data", "about")
                assert is_own, f"another host was asked: {url}"
        return said

    def sign_in(self, key):
        self.find("input[name=key]").send_keys(key)
        self.button("Sign in").click()

    def delay(self, milliseconds):
        """Lets each request take so long from now on."""
        self.driver.execute_cdp_cmd("Network.enable", {})
        conditions = {"offline": False, "latency": milliseconds, "downloadThroughput": -1, "uploadThroughput": -1}
        self.driver.execute_cdp_cmd("Network.emulateNetworkConditions", conditions)

    def settled(self):
        """Waits until no request of the page is on its way, and every transition has ended."""
        script = """const done = arguments[0]; let before = -1;
          const look = () => {
            const now = performance.getEntriesByType('resource').length;
            if (now === before && document.getAnimations().length === 0) done();
            else { before = now; setTimeout(look, 400); }
          };
          look();"""
        self.driver.execute_async_script(script)

    def assert_accessible(self):
        """No rule of axe is broken in what the page shows now."""
        self.run(AXE)
        script = "const done = arguments[0]; axe.run(document).then((found) => done(found.violations))"
        violations = self.driver.execute_async_script(script)
        words = [(one["id"], one["help"], [node["html"] for node in one["nodes"]][:3]) for one in violations]
        assert not words, f"{self.run('return location.hash')}: {words}"

    def assert_fits(self):
        """Nothing is wider than the window."""
        wide = self.run("return document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{self.run('return location.hash')} is {wide} px too wide"

    def close(self, expected=()):
        """Ends the browser. It has logged nothing else than the `expected` words, and asked no other host."""
        try:
            logged = [entry["message"] for entry in self.driver.get_log("browser")]
            unexpected = [one for one in logged if not any(word in one for word in expected)]
            assert not unexpected, unexpected
            self.messages()
        finally:
            self.driver.quit()


def signed_in(service, **settings):
    """A browser at the overview, with the key that may write."""
    browser = Browser(service.base, **settings)
    browser.open()
    browser.sign_in(WRITE_KEY)
    browser.find("nav.main")
    return browser
