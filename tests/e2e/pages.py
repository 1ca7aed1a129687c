"""What a person does with a page, and what a page is held to: go, click, look; size, width, axe's rules."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from selenium.common.exceptions import (
    NoSuchElementException,
    StaleElementReferenceException,
    WebDriverException,
)
from selenium.webdriver.common.by import By

from tests.e2e.stage import Stage, ask, wait_for

#: Smallest side of what a finger must hit, in CSS pixels (WCAG 2.5.5).
TOUCH = 44
#: What chromedriver answers, as an error of no class, when the page is replaced while it is looking.
REPLACED = "does not belong to the document"

#: A script: what can be touched and is smaller than that.
SMALL = """
const all = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select')];
return all.filter(e => {
  const b = e.getBoundingClientRect();
  return !e.classList.contains('skip') && b.width > 1 && (b.width < SIDE - .5 || b.height < SIDE - .5);
}).map(e => e.outerHTML.slice(0, 120) + JSON.stringify(e.getBoundingClientRect()))
""".replace("SIDE", str(TOUCH))

#: A script: [can the page be moved sideways?, what reaches over its right edge …].
WIDE = """
const w = document.documentElement.clientWidth, all = [...document.querySelectorAll('main *, header *')];
return [document.scrollingElement.scrollWidth > w, ...all.filter(e => {
  const b = e.getBoundingClientRect(), s = getComputedStyle(e);
  return b.width > 1 && b.right > w + 1 && !e.closest('.filters') && s.position !== 'absolute';
}).map(e => e.outerHTML.slice(0, 90))]"""


#: A script: buttons beside each other of which one stands higher, or that touch each other.
CROOKED = """
const rows = [...document.querySelectorAll('main p, main form')].map(p => [...p.children].filter(
  e => e.matches('.button') && e.getClientRects().length).map(e => [e, e.getBoundingClientRect()]));
return rows.flatMap(row => row.slice(1).filter(([, b], n) => {
  const a = row[n][1];
  return b.top < a.bottom && a.top < b.bottom && (Math.abs(a.top - b.top) > 1 || b.left - a.right < 4);
}).map(([e]) => e.outerHTML.slice(0, 90)))"""


def resources(stage: Stage) -> dict[str, Any]:
    return {one["name"]: one for one in ask(stage.url + "api/v1/resources?limit=100")["items"]}


def page_of(stage: Stage, name: str) -> str:
    """The address of a resource's page."""
    one = resources(stage)[name]
    return f"{stage.url}r/{one['package']}/{one['id']}"


def go(driver: Any, address: str) -> None:
    driver.switch_to.default_content()
    driver.get(address)


def follow(driver: Any, link: Any) -> None:
    """Click, and wait until the page is another one; a click returns before a busy machine begins to load."""
    before = driver.find_element(By.CSS_SELECTOR, "html")
    link.click()
    wait_for("the next page", lambda: gone(before))


def gone(element: Any) -> bool:
    """Does this element's page stand there no more?"""
    try:
        return not element.tag_name
    except (StaleElementReferenceException, NoSuchElementException):
        return True
    except WebDriverException as error:
        if REPLACED in str(error):
            return True
        raise


def find(driver: Any, selector: str) -> Any:
    """The first of what this selects; raises when the page has nothing of the kind."""
    return (found(driver, selector) or [driver.find_element(By.CSS_SELECTOR, selector)])[0]


def found(driver: Any, selector: str) -> list[Any]:
    """All that this selects: nothing, when the page goes away while it is searched."""
    try:
        return list(driver.find_elements(By.CSS_SELECTOR, selector))
    except WebDriverException as error:
        if REPLACED in str(error):
            return []
        raise


def answers(driver: Any) -> list[tuple[str, int]]:
    """(address, status) of what the browser was answered since it was last asked."""
    told = (json.loads(entry["message"])["message"] for entry in driver.get_log("performance"))
    return [(one["params"]["response"]["url"], one["params"]["response"]["status"])
            for one in told if one["method"] == "Network.responseReceived"]


def complaints(driver: Any) -> list[str]:
    """What the browser's console holds against the pages: errors, what a policy refused."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]


def inside(driver: Any) -> Any:
    """Go into the page's frame."""
    driver.switch_to.frame(find(driver, "main iframe"))
    return driver


def violations(driver: Any, script: str, *, but: Sequence[str] = ()) -> list[tuple[str, list[str]]]:
    """What axe-core holds against the page: WCAG 2.2 A and AA, as far as a program can tell; `but` for some
    of its rules."""
    driver.execute_script(script)
    result = driver.execute_async_script(
        "const done = arguments[0]; axe.run(document, {iframes: false, runOnly: ['wcag2a', 'wcag2aa', "
        "'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}).then(done)")
    return [(rule["id"], [node["html"][:140] for node in rule["nodes"]]) for rule in result["violations"]
            if rule["id"] not in but]
