"""A teacher on a real box: signs in, sends a large file over a broken line; nobody acts in their name."""

from __future__ import annotations

import contextlib
import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from edge.sign_in import MOST_WAITING
from tests.e2e import axe, pictures
from tests.e2e.browser import MISSING, resize
from tests.e2e.pages import SMALL, WIDE, complaints, find, follow, found, go, gone, violations
from tests.e2e.stage import Stage, ask, wait_for
from tests.edge.classroom import make_room
from tests.edge.test_tus import PASSWORD, add_teacher

pytestmark = [pytest.mark.e2e, pytest.mark.browser,
              pytest.mark.skipif(MISSING, reason="no chromium and chromedriver here")]

#: What a lesson from strangers tries against the teacher who is signed in beside it.
ATTACKS = """<!doctype html><meta charset=utf-8><title>attack</title><ol id=out></ol><script>
const main = 'http://' + location.hostname + ':MAIN/', out = document.getElementById('out');
function told(name, got) { const li = document.createElement('li'); li.dataset.name = name;
  li.textContent = got; out.appendChild(li); }
async function attempt(name, act) {
  try { told(name, 'done: ' + await act()); } catch (error) { told(name, 'no: ' + error.name); } }
const form = (fields) => { const data = new URLSearchParams();
  for (const name in fields) { data.set(name, fields[name]); } return data; };
(async () => {
  const blind = (path, fields) => () => fetch(main + path, {method: 'POST', mode: 'no-cors',
    credentials: 'include', body: form(fields)}).then(answer => answer.type);
  const mine = 'child 1234';
  await attempt('password', blind('teacher/password', {before: 'PASSWORD', after: mine, again: mine}));
  await attempt('sign-out', blind('teacher/sign-out', {}));
  await attempt('upload', blind('upload', {title: 'evil'}));
  await attempt('tus', () => fetch(main + 'api/v1/uploads', {method: 'POST', credentials: 'include',
    headers: {'Tus-Resumable': '1.0.0', 'Upload-Length': '5'}}).then(answer => answer.status));
  await attempt('read', () => fetch(main + 'teacher', {credentials: 'include'}).then(one => one.text()));
  await attempt('cookie', () => document.cookie);
  const target = document.createElement('form');
  target.method = 'post'; target.action = main + 'teacher/sign-out'; target.target = 'inner';
  const frame = document.createElement('iframe'); frame.name = 'inner';
  document.body.append(frame, target);
  await attempt('form', () => { target.submit(); return 'sent'; });
  await new Promise(done => setTimeout(done, 500));
  told('end', 'end');
})();
</script>"""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A served box with a lesson of strangers and a teacher; nothing is synced further."""
    stage = Stage(tmp_path_factory.mktemp("teachers"))
    try:
        stage.set_up()
        password = stage.box("teacher", "add", "王老师", "--login", "wang")["password"]
        (stage.place / "password").write_text(password)
        lesson = stage.place / "语文" / "坏课件"
        lesson.mkdir(parents=True)
        (lesson / "index.html").write_text(ATTACKS.replace("MAIN", str(stage.box_port)).replace(
            "PASSWORD", password), "utf-8")
        stage.publish(stage.place / "语文")
        hub = stage.serve_hub()
        assert stage.sync()["ok"]
        hub.stop()
        stage.serve_box("--no-mdns", "--no-sync")
        yield stage
    finally:
        stage.stop()


def password_of(stage: Stage) -> str:
    return (stage.place / "password").read_text()


def sign_in(driver: Any, stage: Stage, path: str = "teacher") -> None:
    go(driver, stage.url + path)
    find(driver, "#login").send_keys("wang")
    find(driver, "#password").send_keys(password_of(stage))
    follow(driver, find(driver, "main form button"))


def test_signing_in_leads_on_and_out_again(box: Stage, browser: Any) -> None:
    sign_in(browser, box, "upload")
    assert browser.current_url == box.url + "upload" and found(browser, "input[type=file]")
    assert find(browser, "#creator").get_attribute("value") == "王老师"
    [cookie] = [one for one in browser.get_cookies() if one["name"] == "teachpoint-teacher"]
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict" and "expiry" not in cookie
    follow(browser, find(browser, "nav.places a[href='/teacher']"))
    assert find(browser, "h1").text == "王老师"
    follow(browser, find(browser, "form[action='/teacher/sign-out'] button"))
    assert found(browser, "input[type=password]")
    assert complaints(browser) == []


def test_who_comes_while_many_sign_in_waits_and_goes_on_by_itself(browser: Any, tmp_path: Path) -> None:
    room = make_room(tmp_path)
    add_teacher(room)
    with contextlib.ExitStack() as many, pictures.served(room.app) as address:
        for _ in range(1 + MOST_WAITING):
            assert room.sign_in.turns._room.acquire(blocking=False)
            many.callback(room.sign_in.turns._room.release)
        go(browser, address + "teacher?next=/upload")
        find(browser, "#login").send_keys("wang")
        find(browser, "#password").send_keys(PASSWORD, Keys.ENTER)
        wait_for("it says so", lambda: "自动继续" in find(browser, "#sign-in-words").text)
        many.close()
        wait_for("the page one wanted", lambda: browser.current_url == address + "upload")
        assert found(browser, "input[type=file]")


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_the_pages_fit_a_phone_and_please_axe(box: Stage, browser: Any, language: str) -> None:
    script = axe.source()
    go(browser, f"{box.url}language/{language}")
    resize(browser, 360, 800, touch=True)
    for signed in (False, True):
        if signed:
            sign_in(browser, box)
            find(browser, "summary").click()
        else:
            go(browser, box.url + "teacher")
            find(browser, "#login").send_keys("wang")
            find(browser, "#password").send_keys("wrong", Keys.ENTER)
            wait_for("the answer", lambda: found(browser, "[role=alert]"))
        pleases(browser, script)
    [one] = ask(box.url + "api/v1/resources")["items"]
    go(browser, f"{box.url}r/{one['package']}/{one['id']}")
    follow(browser, find(browser, "a[href^='/collect']"))
    pleases(browser, script)
    find(browser, "#plan option[value=new]").click()
    find(browser, "#name").send_keys("周一")
    find(browser, "#note").send_keys("看五分钟")
    follow(browser, find(browser, "main form .button.strong"))
    assert find(browser, "[data-print]").is_displayed() and "看五分钟" in find(browser, ".plan").text
    pleases(browser, script)
    follow(browser, find(browser, "a[href$='/edit']"))
    pleases(browser, script)
    before = find(browser, "html")
    find(browser, "#name").send_keys("三年级", Keys.ENTER)
    wait_for("it is kept", lambda: gone(before))
    browser.delete_all_cookies()
    go(browser, browser.current_url.rpartition("/")[0])
    assert find(browser, "h1").text == "周一三年级" and not found(browser, "a[href$='/edit']")


def pleases(driver: Any, script: str) -> None:
    """Nothing is wrong with the page, too small for a finger, or wider than a phone."""
    assert violations(driver, script) == []
    assert driver.execute_script(SMALL) == []
    assert driver.execute_script(WIDE) == [False]


@pytest.mark.parametrize("where", ["frame", "alone"])
def test_a_lesson_of_strangers_cannot_act_as_the_teacher(box: Stage, browser: Any, where: str) -> None:
    sign_in(browser, box)
    [one] = ask(box.url + "api/v1/resources")["items"]
    if where == "frame":
        go(browser, f"{box.url}r/{one['package']}/{one['id']}")
        browser.switch_to.frame(find(browser, "main iframe"))
    else:
        go(browser, one["url"])
    wait_for("all attacks", lambda: found(browser, "[data-name=end]"))
    told = {li.get_attribute("data-name"): li.text for li in found(browser, "li")}
    assert set(told) == {"password", "sign-out", "upload", "tus", "read", "cookie", "form", "end"}
    refused = {name: text for name, text in told.items() if name not in ("form", "end")}
    assert all(text.startswith("no: ") for text in refused.values()), refused
    assert sent(browser, box) == []
    go(browser, box.url + "teacher")
    assert find(browser, "h1").text == "王老师", "still signed in, and nothing was done"
    assert ask(box.url + "api/v1/status")["uploads"]["waiting"] == 0
    follow(browser, find(browser, "form[action='/teacher/sign-out'] button"))
    sign_in(browser, box)
    assert find(browser, "h1").text == "王老师", "the password is what it was"


def test_the_teacher_switches_the_box_off(box: Stage, browser: Any) -> None:
    sign_in(browser, box)
    go(browser, box.url + "status")
    assert not found(browser, "a[href='/off']")
    mark = box.place / "switched off"
    assert box.box("power", "--off-command", f"touch '{mark}'")["off"] == ["touch", str(mark)]
    go(browser, box.url + "status")
    follow(browser, find(browser, "a[href='/off']"))
    resize(browser, 360, 800, touch=True)
    pleases(browser, axe.source())
    assert not mark.exists()
    follow(browser, find(browser, "main form button"))
    assert "正在关机" in find(browser, "[role=status]").text
    wait_for("the command", mark.exists)


def test_the_box_itself_refuses_what_such_a_page_would_send(box: Stage, browser: Any) -> None:
    """As if a browser kept no rules: the teacher's cookies come along, and the origin is that of a lesson."""
    sign_in(browser, box)
    cookies = "; ".join(f"{one['name']}={one['value']}" for one in browser.get_cookies())
    token = find(browser, "input[name=token]").get_attribute("value")
    for origin in ("null", f"http://127.0.0.1:{box.content_port}", "http://elsewhere.test"):
        for path, more in (("teacher/sign-out", {}), ("teacher/password", {}), ("upload/give-up", {}),
                           ("api/v1/uploads", {"Tus-Resumable": "1.0.0", "Upload-Length": "5"})):
            request = urllib.request.Request(box.url + path, data=f"token={token}".encode(), headers={
                "Cookie": cookies, "Origin": origin, **more})
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=60)
            assert refused.value.code == 403, (origin, path)
            refused.value.close()


def sent(driver: Any, stage: Stage) -> list[str]:
    """Requests of lessons that reached the main origin and carried a cookie."""
    found_ = []
    for entry in driver.get_log("performance"):
        told = json.loads(entry["message"])["message"]
        if told["method"] == "Network.requestWillBeSentExtraInfo":
            headers = {name.lower(): value for name, value in told["params"]["headers"].items()}
            if headers.get("origin") == "null" and "teachpoint-teacher" in headers.get("cookie", ""):
                found_.append(headers)
    return found_


def test_a_film_goes_on_after_a_kill_and_its_way_is_seen(
        box: Stage, browser: Any, tmp_path: Path) -> None:
    film = tmp_path / "公开课.mp4"
    film.write_bytes(os.urandom(30_000_000))
    sign_in(browser, box, "upload")
    slow(browser, 1_000_000)
    find(browser, "#title").send_keys("公开课")
    find(browser, "#file").send_keys(str(film))
    find(browser, "#send button").click()
    wait_for("its beginning", lambda: percent(browser) >= 5)
    [service] = [one for one in box._running if one.process.poll() is None]
    service.kill()
    wait_for("it says so", lambda: "中断" in find(browser, "#sending-words").text)
    go(browser, "about:blank")
    slow(browser, -1)
    box.serve_box("--no-mdns", "--no-sync")
    go(browser, box.url + "teacher")
    assert "已收到" in find(browser, "ul.sent").text, "where it stopped"
    go(browser, box.url + "upload")
    wait_for("it is remembered", lambda: "公开课.mp4" in find(browser, "#sending-words").text)
    find(browser, "#file").send_keys(str(film))
    find(browser, "#send button").click()
    wait_for("it is safe", lambda: "came=" in browser.current_url and found(browser, ".notice.good"))
    assert "“公开课”已安全存入盒子。" in find(browser, ".notice.good").text
    wait_for("the outbox has it", lambda: ask(box.url + "api/v1/status")["uploads"]["waiting"] == 1)
    objects = [path for path in (box.box_data / "outbox/objects").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in objects] == [film.read_bytes()]
    go(browser, box.url + "teacher")
    assert "已存入盒子" in find(browser, "ul.sent").text
    hub = box.serve_hub()
    box.sync()
    wait_for("the hub has it", lambda: [one for one in box.hub("uploads") if one["received"]])
    [one] = box.hub("uploads")
    assert (one["title"], one["creator"], one["verdict"]) == ("公开课", "王老师", "")
    box.hub("uploads", "--review", one["sha256"], "--decline", "--note", "声音太小")
    box.sync()
    go(browser, box.url + "teacher")
    assert "中心校未采用" in find(browser, "ul.sent").text and "声音太小" in find(browser, "ul.sent").text
    lesson = tmp_path / "音乐" / "公开课"
    lesson.mkdir(parents=True)
    film.rename(lesson / "公开课.mp4")
    box.publish(lesson, assign=False)
    box.sync()
    hub.stop()
    go(browser, box.url + "teacher")
    assert "已作为课程发给学校" in find(browser, "ul.sent").text


def slow(driver: Any, bytes_per_s: int) -> None:
    """Let the browser send no faster than this; -1: as fast as it can."""
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd("Network.emulateNetworkConditions", {
        "offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_s})


def percent(driver: Any) -> float:
    return float(driver.find_element(By.CSS_SELECTOR, "#sending progress").get_attribute("value") or 0)
