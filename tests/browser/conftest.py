"""Browser of these tests: Chromium, without a window."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def _missing(what: str) -> None:
    reason = f"no browser: {what}; on Debian: apt install chromium chromium-driver"
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser() -> Iterator[Chrome]:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        _missing("chromium and chromedriver are not both on PATH")
    options = ChromeOptions()
    options.binary_location = str(program)
    for argument in (
        "--headless=new",
        "--no-sandbox",  # containers run it as root
        "--disable-dev-shm-usage",
        "--window-size=1440,900",
        "--lang=en",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    try:
        chrome = Chrome(options=options, service=Service(driver))
    except WebDriverException as error:
        _missing(str(error))
    yield chrome
    chrome.quit()
