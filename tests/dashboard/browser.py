"""A page in Chromium, and what must be true of it after each test."""

import json
from pathlib import Path
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.by import By

from service import until

AXE = (Path(__file__).parent / "axe.min.js").read_text()


class Browser:
    """One window. It notes what the console says and which hosts are asked."""

    def __init__(self, base, width=1280, height=900, dark=False):
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", f"--window-size={width},{height}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options, Driver("/usr/bin/chromedriver"))
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700},
        )
        scheme = "dark" if dark else "light"
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
        self.base = base

    def open(self, view="/"):
        self.driver.get(f"{self.base}/#{view}")

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def text(self):
        return self.run("return document.body.innerText")

    def until_text(self, words):
        """Waits until the page shows these words."""
        return until(lambda: words in self.text(), lambda: f"the page shows {words!r}: {self.text()!r}")

    def find(self, selector):
        """Waits for an element."""
        found = until(lambda: self.driver.find_elements(By.CSS_SELECTOR, selector), f"the page has {selector}")
        return found[0]

    def button(self, name):
        """Waits for a button with this text."""
        path = f"//button[normalize-space()='{name}']"
        return until(lambda: self.driver.find_elements(By.XPATH, path), f"the page has the button {name!r}")[0]

    def sign_in(self, key):
        self.find("input[name=key]").send_keys(key)
        self.button("Sign in").click()

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
            for entry in self.driver.get_log("performance"):
                message = json.loads(entry["message"])["message"]
                if message["method"] == "Network.requestWillBeSent":
                    url = message["params"]["request"]["url"]
                    is_own = url.startswith(self.base + "/") or urlsplit(url).scheme in ("data", "about")
                    assert is_own, f"another host was asked: {url}"
        finally:
            self.driver.quit()
