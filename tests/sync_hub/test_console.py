"""The hub's status page: what an admin sees, in both languages, and that it can do nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from kiosk_ui.i18n import LANGUAGES
from sync.clock import ManualClock
from sync.hub.assign import assign
from sync.hub.console import create_console
from sync.hub.publish import Published, publish
from sync.hub.settings import Hub, init_hub
from sync.hub.sites import add_site, revoke_site
from tests.edge.page_html import Page, broken_rules


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    made = init_hub(tmp_path / "hub", "青山<b>中心校", ["127.0.0.1"], 2222)
    made.clock = ManualClock(1_790_000_000)
    return made


def browser(hub: Hub, language: str = "zh-CN") -> FlaskClient:
    client = create_console(hub).test_client()
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = language
    return client


def test_an_empty_hub_says_what_to_do_next(hub: Hub) -> None:
    page = browser(hub).get("/").get_data(as_text=True)
    assert 'lang="zh-CN"' in page and "还没有教学点" in page and "hub site add" in page
    assert "青山&lt;b&gt;中心校" in page
    english = browser(hub, "en").get("/").get_data(as_text=True)
    assert 'lang="en"' in english and "There is no teaching point yet" in english


def test_sites_what_they_lack_and_packages_are_shown(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "课一"
    folder.mkdir()
    (folder / "a.txt").write_text("甲", "utf-8")
    published = publish(hub, folder)
    add_site(hub, "s1", "一号 <script>教学点")
    add_site(hub, "s2", "二号")
    assign(hub, [published.id], ["s1"])
    revoke_site(hub, "s2")
    hub.database.execute("INSERT INTO contact VALUES ('s1', ?)", [hub.clock.now() - 7200])
    hub.database.conn.commit()
    page = browser(hub).get("/").get_data(as_text=True)
    assert "一号 &lt;script&gt;教学点" in page and "<script" not in page
    assert "2 小时前" in page and "已吊销" in page and published.id in page
    assert "共 1 课，已到齐 0 课" in page
    metrics = browser(hub).get("/metrics").get_data(as_text=True)
    assert 'teachpoint_hub_site_packages_assigned{site="s1"} 1.0' in metrics


def report(hub: Hub, site: str, *whole: Published, contact_s: float = 60.0) -> None:
    """What the site's box said: it is whole, and was here so long ago."""
    now = hub.clock.now()
    hub.database.execute("INSERT OR REPLACE INTO contact VALUES (?, ?)", [site, now - contact_s])
    hub.database.execute("INSERT INTO segment VALUES (?, 'b', 1, '', 1, 9, ?)", [site, now - contact_s])
    for seq, one in enumerate(whole, 1):
        hub.database.execute("INSERT INTO record VALUES (?, 'b', ?, ?, 'hub', 'package', ?)", [
            site, seq, now, json.dumps({"id": one.id, "version": one.version, "manifest": one.manifest,
                                        "complete": True})])
    hub.database.conn.commit()


def lesson(hub: Hub, folder: Path, name: str, size: int) -> Published:
    (folder / name).mkdir()
    (folder / name / "教案.bin").write_bytes(name.encode() * size)
    return publish(hub, folder / name)


def cards(page: Page) -> list[tuple[str, str]]:
    """(state, words) of each site's card, from the top."""
    return [(card.get("class").split()[1], " ".join(card.words.split())) for card in page.with_class("site")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_admin_sees_at_a_glance_who_lacks_what(hub: Hub, tmp_path: Path, language: str) -> None:
    first, second = lesson(hub, tmp_path, "大青树", 1000), lesson(hub, tmp_path, "时分秒", 3000)
    for site, name in (("a", "甲"), ("b", "乙"), ("c", "丙"), ("d", "丁"), ("e", "戊"), ("f", "己")):
        add_site(hub, site, name)
    for site in "abcd":
        assign(hub, [first.id, second.id], [site])
    report(hub, "a", first, second)
    report(hub, "b", first)
    report(hub, "c", contact_s=9 * 86400)
    report(hub, "e")
    revoke_site(hub, "f")
    hub.database.execute("UPDATE site SET created = ? WHERE site = 'c'", [hub.clock.now() - 20 * 86400])
    hub.database.conn.commit()
    page = Page(browser(hub, language).get("/").get_data(as_text=True))
    assert broken_rules(page, language) == []
    seen = cards(page)
    assert [state for state, _ in seen] == ["alarm", "never", "coming", "whole", "idle", "revoked"]
    alarm, _never, coming, whole, _idle, revoked = (words for _, words in seen)
    assert ("丙" in alarm and "9" in alarm) and ("site-silent" not in alarm)
    assert ("没有" if language == "zh-CN" else "Nothing was heard") in alarm, "in the reader's language"
    assert "时分秒" in coming and "大青树" not in coming
    assert "大青树" not in whole and "大青树" not in revoked
    bars = [(bar.get("max"), bar.get("value")) for bar in page.all("progress")]
    assert bars[2][0] == bars[3][0] == bars[3][1] and 0 < int(bars[2][1]) < int(bars[2][0])
    has, lacks = ("已有：", "未到齐：") if language == "zh-CN" else ("Hasit:", "Lacksit:")
    at = {row.words.split()[0]: "".join(row.words.split()) for row in page.with_class("package")}
    assert all(f"{has}甲" in words and f"{lacks}丙" in words and "己" not in words for words in at.values())
    assert f"{has}乙" in at["大青树"] and f"{lacks}乙" in at["时分秒"]
    [sums] = page.with_class("sums")
    assert [word for word in sums.words.split() if word.isdigit()] == ["5", "1", "1", "2"]


def test_it_answers_health_keeps_the_language_and_takes_no_writes(hub: Hub) -> None:
    client = browser(hub, "en")
    health = client.get("/healthz")
    assert health.get_json()["ok"] is True and health.get_json()["role"] == "hub"
    client.get("/language/zh-CN")
    assert 'lang="zh-CN"' in client.get("/").get_data(as_text=True)
    for method in ("post", "put", "delete", "patch"):
        assert getattr(client, method)("/").status_code == 405
    policy = client.get("/").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert client.get("/static/../../hub.toml").status_code == 404
    assert client.get("/static/teachpoint.css").status_code == 200
