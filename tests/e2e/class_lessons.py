"""Lessons of real files for a browser: a film to seek in, sound, a picture, PDF, EPUB, pages, bundles."""

from __future__ import annotations

import subprocess
from pathlib import Path

from PIL import Image, ImageDraw

from tests.edge.books import make_epub

FILM_S = 30


def ffmpeg(*words: str) -> None:
    """Run ffmpeg to its end."""
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *words], check=True, timeout=120)


def make_film(target: Path) -> None:
    """VP8 in WebM, half a minute, a key frame each second; large enough that no browser takes it whole."""
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=size=480x270:rate=10:duration={FILM_S},noise=alls=40:allf=t",
           "-f", "lavfi", "-i", f"sine=frequency=440:duration={FILM_S}", "-c:v", "libvpx", "-b:v", "3M",
           "-deadline", "realtime", "-cpu-used", "8", "-g", "10", "-c:a", "libvorbis", str(target))


#: What a page may try against the box it was opened from. Each attempt ends as "no" and a reason, or "YES".
ATTACKS = """<!doctype html><meta charset=utf-8><title>attack</title><ol id=out></ol><script>
const main = 'http://' + location.hostname + ':MAIN/', out = document.getElementById('out');
function told(name, got) { const li = document.createElement('li'); li.dataset.name = name;
  li.textContent = got; out.appendChild(li); }
async function attempt(name, act) {
  try { const got = await act(); told(name, got === undefined ? 'no: nothing' : 'YES: ' + got); }
  catch (error) { told(name, 'no: ' + error.name); } }
const later = (ms) => new Promise(done => setTimeout(done, ms));
(async () => {
  await attempt('fetch', async () => (await fetch(main + 'api/v1/status', {credentials: 'include'})).status);
  await attempt('fetch-blind', async () => (await fetch(main + 'status', {mode: 'no-cors'})).type);
  await attempt('xhr', () => new Promise((done, fail) => { const x = new XMLHttpRequest();
    x.open('GET', main); x.onload = () => done(x.responseText.length); x.onerror = () => fail(Error('xhr'));
    x.send(); }));
  await attempt('post', async () => (await fetch(main + 'upload', {method: 'POST', mode: 'no-cors',
    body: new FormData()})).type);
  await attempt('beacon', () => navigator.sendBeacon(main + 'upload', 'x') ? undefined : undefined);
  await attempt('script', () => new Promise((done, fail) => { const s = document.createElement('script');
    s.src = main + 'static/keys.js'; s.onload = () => done('ran'); s.onerror = () => fail(Error('script'));
    document.head.appendChild(s); }));
  await attempt('cookie', () => document.cookie);
  await attempt('set-cookie', () => { document.cookie = 'evil=1'; return document.cookie; });
  await attempt('localStorage', () => { localStorage.setItem('a', '1'); return localStorage.a; });
  await attempt('sessionStorage', () => { sessionStorage.setItem('a', '1'); return sessionStorage.a; });
  await attempt('indexedDB', () => new Promise((done, fail) => { const r = indexedDB.open('a');
    r.onsuccess = () => done('open'); r.onerror = () => fail(r.error); }));
  await attempt('caches', async () => { await caches.open('a'); return 'open'; });
  await attempt('worker', async () => { await navigator.serviceWorker.register('sw.js'); return 'there'; });
  if (parent !== window) {
    await attempt('parent', () => parent.document.title);
    await attempt('frame-element', () => frameElement ? frameElement.id + 'seen' : undefined);
    await attempt('top', () => { top.location = main + 'help'; });
    await attempt('top-href', () => { top.location.href = main + 'help'; });
    await attempt('target-top', () => { const a = document.createElement('a'); a.href = main + 'help';
      a.target = '_top'; document.body.appendChild(a); a.click(); });
    await attempt('popup', () => { const w = open(main); return w ? 'opened' : undefined; });
  }
  await attempt('frame', async () => { const f = document.createElement('iframe'); f.src = main;
    document.body.appendChild(f); await later(700); return f.contentDocument
      ? f.contentDocument.body.textContent || undefined : undefined; });
  await attempt('camera', async () => {
    await navigator.mediaDevices.getUserMedia({video: true}); return 'on'; });
  told('origin', self.origin);
  await later(500);
  told('end', 'end');
})();
</script>"""

GAME = """<!doctype html><meta charset=utf-8><title>笔顺</title><link rel=stylesheet href=look.css>
<p id=out>静</p><button id=b>下一笔</button><img id=p src=图.png alt=图><script src=game.js></script>"""
GAME_JS = """document.getElementById('out').textContent = '脚本在运行';
document.getElementById('b').onclick = function () { document.getElementById('out').textContent = '第二笔'; };
fetch('词.json').then(r => r.json()).then(w => { document.body.dataset.word = w.word; });"""


def make_lessons(folder: Path, main_port: int) -> list[Path]:
    """Two lessons below `folder`."""
    lesson = folder / "人教版" / "三年级上册" / "语文" / "第01课 大青树下的小学"
    game, attack = lesson / "笔顺练习", lesson / "坏课件"
    for one in (game, attack):
        one.mkdir(parents=True)
    make_film(lesson / "课文朗读.webm")
    ffmpeg("-f", "lavfi", "-i", "sine=frequency=330:duration=12", str(lesson / "生字读音.mp3"))
    picture = Image.new("RGB", (800, 500), "#d8ecd0")
    ImageDraw.Draw(picture).ellipse((250, 60, 550, 360), fill="#2a5a24")
    picture.save(lesson / "插图.png")
    picture.save(lesson / "教案.pdf", "PDF", save_all=True, append_images=[picture, picture])
    (lesson / "词语表.txt").write_text("早晨\n绒球花\n汉族\n", "utf-8")
    (lesson / "课文.html").write_text("<meta charset=utf-8><h1>大青树</h1><p>早晨，从山坡上。", "utf-8")
    (lesson / "课外读物.epub").write_bytes(make_epub({
        "第一章 早晨": "<h1>早晨</h1>" + "<p>公鸡叫了。</p>" * 60,
        "第二章 上学": "<h1>上学</h1><p>走进校园。</p>"}))
    (game / "index.html").write_text(GAME, "utf-8")
    (game / "game.js").write_text(GAME_JS, "utf-8")
    (game / "look.css").write_text("p { color: rgb(1, 2, 3) }", "utf-8")
    (game / "词.json").write_text('{"word": "大青树"}', "utf-8")
    picture.resize((80, 50)).save(game / "图.png")
    (attack / "index.html").write_text(ATTACKS.replace("MAIN", str(main_port)), "utf-8")
    (attack / "sw.js").write_text("self.onfetch = null", "utf-8")
    lessons = [lesson]
    for path, text in {"一年级上册/语文/第02课 天地人": "天地人", "三年级上册/数学/第01课 时、分、秒": "秒针",
                       "五年级下册/科学/第03课 抛出去的球": "抛球"}.items():
        lessons.append(folder / "人教版" / path)
        lessons[-1].mkdir(parents=True)
        (lessons[-1] / f"{text}.txt").write_text(text, "utf-8")
    return lessons
