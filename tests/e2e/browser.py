"""A real browser for tests and pictures: Debian's Chromium, without a window."""

from __future__ import annotations

from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from sync.programs import find

MISSING = find("chromium") is None or find("chromedriver") is None
#: Longest a page may take to load, in seconds; a busy machine is slow. Below the 120 s after which the
#: driver's client gives up without saying which page it was.
LOAD_S = 110


def open_browser(width: int = 1024, height: int = 768, language: str = "zh-CN", *, scripts: bool = True,
                 touch: bool = False) -> Any:
    """A Chromium of this size in a profile of its own, that asks for `language`; `quit()` it."""
    options = Options()
    options.binary_location = str(find("chromium"))
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                 "--no-first-run", "--disable-background-networking", "--disable-component-update",
                 "--autoplay-policy=no-user-gesture-required", "--hide-scrollbars", "--no-proxy-server"):
        options.add_argument(word)
    content: dict[str, int] = {} if scripts else {"javascript": 2}
    options.add_experimental_option("prefs", {
        "intl.accept_languages": language, "profile.managed_default_content_settings": content,
        "download_restrictions": 3})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(find("chromedriver"))))
    driver.set_page_load_timeout(LOAD_S)
    resize(driver, width, height, touch=touch)
    return driver


def resize(driver: Any, width: int, height: int, *, touch: bool = False) -> None:
    """Give the page this many CSS pixels; with `touch` as on a phone."""
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": height, "deviceScaleFactor": 2 if touch else 1, "mobile": touch})
