"""How a person works a page: with a finger, with a keyboard alone, with a TV's arrows and OK alone.

Nothing is clicked by a script: a finger's touch, a key of a keyboard, a key of a remote control goes through
the browser, so what cannot be reached that way fails. Scripts only look. Words are msgids, in the language
of the device.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from kiosk_ui.i18n import translations
from tests.e2e.browser import open_browser, resize
from tests.e2e.pages import REPLACED, find, found
from tests.e2e.stage import wait_for

#: Most turns of looking and pressing until something has the focus: a person gives up sooner.
MOST_TURNS = 120
#: On a busy machine a touch lasts so long that the browser takes it for a long one, which clicks nothing, or
#: what was to be touched has just moved: after so many seconds it is tried again, so often at most.
TOUCH_S, MOST_TOUCHES = 3.0, 10
#: A moving finger is told of so often, in seconds.
FINGER_S = 0.03

#: The first that is shown of what a selector finds and that has these words, as `target`.
_TARGET = """
const shown = e => e.getClientRects().length > 0 && e.checkVisibility({visibilityProperty: true});
const target = [...document.querySelectorAll(arguments[0])].find(
  e => shown(e) && e.textContent.replace(/\\s+/g, ' ').includes(arguments[1]));
const active = document.activeElement === document.body ? null : document.activeElement;
"""
#: The middle of the target after it was brought into sight, if nothing lies over it there.
_PLACE = _TARGET + """
if (!target) { return null; }
target.scrollIntoView({block: 'center', inline: 'center'});
const box = target.getClientRects()[0], x = box.left + box.width / 2, y = box.top + box.height / 2;
const hit = document.elementFromPoint(x, y);
return hit && (target.contains(hit) || hit.contains(target)) ? [x, y] : null;
"""
#: How many stops of the Tab key lie between the focus and the target: [0] on it, null where it is not there.
_STOPS = _TARGET + """
if (!target) { return null; }
if (active === target) { return [0]; }
const all = [...document.querySelectorAll('a[href], button, input, select, textarea, summary, video, audio,'
  + 'iframe, [tabindex="0"]')].filter(e => shown(e) && !e.disabled && e.tabIndex >= 0 && e.type !== 'hidden');
const far = all.indexOf(target) - all.indexOf(active);
return [far || 1];
"""
#: [is it in focus?, what is (how far scrolled, with its caret where), the ways to try, the best first].
_WAYS = _TARGET + """
if (!target) { return null; }
const inner = active && active.tagName === 'IFRAME' ? performance.now() : 0;  // something in it moves
const number = [...document.querySelectorAll('*')].indexOf(active);
const name = active ? [number, active.scrollTop, active.selectionStart, inner].join() : '';
if (active === target) { return [true, name, []]; }
if (!active || active.id === 'main') { return [false, name, ['down', 'up']]; }
const a = active.getBoundingClientRect(), t = target.getBoundingClientRect();
const across = t.left + t.width / 2 < a.left + a.width / 2 ? ['left', 'right'] : ['right', 'left'];
const along = t.top + t.height / 2 < a.top + a.height / 2 ? ['up', 'down'] : ['down', 'up'];
return [false, name, t.top >= a.bottom - 2 || t.bottom <= a.top + 2
  ? [along[0], across[0], across[1], along[1]] : [across[0], along[0], along[1], across[1]]];
"""
#: Listen whether a touch becomes a click of the target; has it, or is another page there already?
_LISTEN = _TARGET + """
window.touched = false;
addEventListener('click', event => {
  window.touched = window.touched || Boolean(target) && target.contains(event.target); }, true);
"""
_TOUCHED = "return window.touched !== false"
_ARROWS = {"up": Keys.ARROW_UP, "down": Keys.ARROW_DOWN, "left": Keys.ARROW_LEFT, "right": Keys.ARROW_RIGHT}


class Hands:
    """A person at a device of this size; what `reach` and `press` mean, the kinds of hands say."""

    def __init__(self, driver: Any, language: str) -> None:
        self.driver, self.language = driver, language

    def say(self, words: str) -> str:
        """These words as the pages say them here."""
        return translations(self.language).gettext(words)

    def go(self, address: str) -> None:
        """Type an address into the browser."""
        self.driver.switch_to.default_content()
        self.driver.get(address)

    def back(self) -> None:
        """Back: the browser's, or that of a remote control."""
        self.driver.back()

    def reach(self, selector: str, words: str = "") -> None:
        """Get to the first thing that is shown, of this kind, with these words (as `say` gives them)."""
        raise NotImplementedError

    def press(self, selector: str, words: str = "") -> None:
        """Reach it, and do what opens, switches or sends."""
        raise NotImplementedError

    def follow(self, selector: str, words: str = "") -> None:
        """Press it, and wait until the page is another one."""
        before = self.mark()
        self.press(selector, words)
        self.wait_other(before)

    def write(self, selector: str, text: str, *, done: bool = False) -> None:
        """Get to a field and type; `done`: and press Enter, or OK, there."""
        self.reach(selector)
        self.keys(text, *([Keys.ENTER] if done else []))

    def keys(self, *keys: str) -> None:
        """Type into what has the focus."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def look(self, script: str, *values: object) -> Any:
        """What a script finds on the page; None while the page is just going away."""
        try:
            return self.driver.execute_script(script, *values)
        except WebDriverException as error:
            if isinstance(error, StaleElementReferenceException) or REPLACED in str(error):
                return None
            raise

    def mark(self) -> str:
        """A name for the page that is open now."""
        return str(self.driver.execute_script("return String(performance.timeOrigin)"))

    def wait_other(self, before: str) -> None:
        """Wait until another page than the one of that name is open, and whole."""
        wait_for("another page", lambda: self.look(
            "return String(performance.timeOrigin) !== arguments[0] && document.readyState === 'complete'",
            before))

    def see(self, selector: str, words: str = "") -> Any:
        """Wait until such a thing with these words is shown; it."""
        def shown() -> Any:
            try:
                return next((one for one in found(self.driver, selector)
                             if one.is_displayed() and words in one.text), None)
            except StaleElementReferenceException:
                return None
        return wait_for(f"{selector} {words}", shown)

    def choose_file(self, selector: str, file: Path) -> None:
        """Press the field of a file; the device asks which one, and is told."""
        driver = self.driver
        driver.get_log("performance")
        driver.execute_cdp_cmd("Page.enable", {})
        driver.execute_cdp_cmd("Page.setInterceptFileChooserDialog", {"enabled": True})
        asked: list[int] = []

        def asks() -> bool:
            for entry in driver.get_log("performance"):
                told = json.loads(entry["message"])["message"]
                if told["method"] == "Page.fileChooserOpened":
                    asked.append(told["params"]["backendNodeId"])
            return bool(asked)
        try:
            self.press(selector)
            wait_for("the device to ask for a file", asks)
            driver.execute_cdp_cmd("DOM.setFileInputFiles", {"files": [str(file)], "backendNodeId": asked[0]})
        finally:
            driver.execute_cdp_cmd("Page.setInterceptFileChooserDialog", {"enabled": False})

    @contextmanager
    def inside(self, selector: str) -> Iterator[None]:
        """Work in this frame of the page."""
        self.driver.switch_to.frame(find(self.driver, selector))
        try:
            yield
        finally:
            self.driver.switch_to.default_content()


class Finger(Hands):
    """A phone in a hand."""

    _frame = ""  # the frame that is worked in

    def reach(self, selector: str, words: str = "") -> None:
        """Touch it: a field takes the focus so."""
        self.press(selector, words)

    def press(self, selector: str, words: str = "") -> None:
        for _ in range(MOST_TOUCHES):
            place = self._place(selector, words)
            self.driver.execute_script(_LISTEN, selector, words)
            self.touch(place)
            with suppress(AssertionError):
                wait_for("the touch to count", lambda: self.look(_TOUCHED), TOUCH_S)
                return
        raise AssertionError(f"a touch does nothing to {selector} {words}")

    def _place(self, selector: str, words: str = "") -> tuple[float, float]:
        """Where to touch it, once it stands still."""
        before: list[Any] = [None]

        def still() -> Any:
            now, before[0] = before[0], self.look(_PLACE, selector, words)
            return before[0] if now == before[0] else None
        x, y = wait_for(f"a place to touch {selector} {words}", still)
        return x, y

    def touch(self, *places: tuple[float, float]) -> None:
        """Put the finger down at the first place, go over the others, lift it."""
        left, top = self._corner()
        for number, (x, y) in enumerate(places):
            if number:
                time.sleep(FINGER_S)
            self.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {
                "type": "touchMove" if number else "touchStart",
                "touchPoints": [{"x": left + x, "y": top + y}]})
        self.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    def swipe(self, selector: str, by: float) -> None:
        """Go `by` pixels sideways over it."""
        x, y = self._place(selector)
        self.touch(*((x - by / 2 + by * min(step, 5) / 5, y) for step in range(8)))  # and rests at its end

    def slide(self, selector: str, share: float) -> None:
        """Touch a bar at this share of its length."""
        x, y = self._place(selector)
        self.touch((x + (share - 0.5) * find(self.driver, selector).size["width"], y))

    def slide_film(self, selector: str, share: float) -> None:
        """Touch a film's own bar there: the browser shows it after a touch of the film."""
        self.touch(self._place(selector))
        left, top, right, bottom = wait_for("the film's bar", lambda: self._bar(selector))
        self.touch((left + share * (right - left), (top + bottom) / 2))

    def _bar(self, selector: str) -> tuple[float, float, float, float] | None:
        """Where the bar of a film is that the browser itself draws."""
        tree = self.driver.execute_cdp_cmd("DOM.getDocument", {"depth": -1, "pierce": True})["root"]

        def bars(node: Any) -> Iterator[int]:
            if "-webkit-media-controls-timeline" in node.get("attributes", []):
                yield node["backendNodeId"]
            for part in (*node.get("children", []), *node.get("shadowRoots", [])):
                yield from bars(part)
        for bar in bars(tree):
            model = self.driver.execute_cdp_cmd("DOM.getBoxModel", {"backendNodeId": bar})["model"]
            corners = model["content"]
            if corners[2] > corners[0]:
                return corners[0], corners[1], corners[2], corners[5]
        return None

    @contextmanager
    def inside(self, selector: str) -> Iterator[None]:
        self._place(selector)
        with super().inside(selector):
            self._frame = selector
            try:
                yield
            finally:
                self._frame = ""

    def _corner(self) -> tuple[float, float]:
        """Where the frame lies that is worked in: it has moved if something in it was brought into sight."""
        if not self._frame:
            return 0.0, 0.0
        self.driver.switch_to.default_content()
        left, top = self.driver.execute_script(
            "const e = document.querySelector(arguments[0]), b = e.getBoundingClientRect();"
            "return [b.left + e.clientLeft, b.top + e.clientTop]", self._frame)
        self.driver.switch_to.frame(find(self.driver, self._frame))
        return left, top


class Keyboard(Hands):
    """A computer without a mouse: Tab, Enter, letters."""

    def reach(self, selector: str, words: str = "") -> None:
        for _ in range(MOST_TURNS):
            [far] = wait_for(f"{selector} {words}", lambda: self.look(_STOPS, selector, words))
            if far == 0:
                return
            step = ActionChains(self.driver)
            if far < 0:
                step.key_down(Keys.SHIFT)
            step.send_keys(Keys.TAB * abs(far))
            if far < 0:
                step.key_up(Keys.SHIFT)
            step.perform()
        raise AssertionError(f"Tab does not lead to {selector} {words}")

    def press(self, selector: str, words: str = "") -> None:
        self.reach(selector, words)
        self.keys(Keys.ENTER)


class Remote(Hands):
    """A TV's remote control: four arrows, OK, Back; letters only into the field that has the frame."""

    def reach(self, selector: str, words: str = "") -> None:
        tried: Counter[tuple[str, str]] = Counter()
        trail = []
        for _ in range(MOST_TURNS):
            there, name, ways = wait_for(f"{selector} {words}",
                                         lambda: self.look(_WAYS, selector, words))
            if there:
                return
            way = min(ways, key=lambda one: tried[name, one])
            tried[name, way] += 1
            trail.append(f"{name} {way}")
            self.keys(_ARROWS[way])
        raise AssertionError(f"the arrows do not lead to {selector} {words}: {trail[-20:]}")

    def press(self, selector: str, words: str = "") -> None:
        self.reach(selector, words)
        self.keys(Keys.ENTER)


#: Width → height, and what the device is worked with.
SIZES = {390: (844, Finger), 1024: (768, Keyboard), 1920: (1080, Remote)}


@contextmanager
def hands(width: int, language: str) -> Iterator[Hands]:
    """A browser of this size in somebody's hands."""
    height, kind = SIZES[width]
    driver = open_browser(width, height, language, touch=kind is Finger)
    try:
        yield take(driver, width, language)
    finally:
        driver.quit()


def take(driver: Any, width: int, language: str) -> Hands:
    """Work this browser as a device of this size is worked."""
    height, kind = SIZES[width]
    resize(driver, width, height, touch=kind is Finger)
    driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {
        "enabled": kind is Finger, **({"maxTouchPoints": 2} if kind is Finger else {})})
    return kind(driver, language)


