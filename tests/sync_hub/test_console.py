"""The hub's status page: what an admin sees, in both languages, and that it can do nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from sync.clock import ManualClock
from sync.hub.assign import assign
from sync.hub.console import create_console
from sync.hub.publish import publish
from sync.hub.settings import Hub, init_hub
from sync.hub.sites import add_site, revoke_site


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
