"""Makes the demo's lessons: a tree of folders as a teacher would have them, from the raw material.

Promise: each lesson lies in `<edition>/<grade and volume>/<subject>/<lesson>/`; a tree that is whole is not
made again. What is in it is real: poems, stroke orders, a filmed experiment, a manual.
"""

from __future__ import annotations

import html
import json
import shutil
import subprocess
import wave
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opencc import OpenCC
from pypinyin import Style, pinyin

from hardware.demo import strokes
from hardware.demo.download import EXPERIMENTS, POEMS, STROKES, manual, manual_pictures

#: Raised when what is made changes, so that an old tree is made anew.
EDITION = 2

FIRST_GRADE = "部编版/一年级上册/语文/第04课 日月水火"
THIRD_GRADE = "部编版/三年级上册/语文/第04课 古诗三首"
SIXTH_GRADE = "部编版/六年级上册/语文/古诗诵读 唐诗三百首"
SCIENCE = "教科版/五年级下册/科学/第03课 抛出去的球"
TEACHERS = "教师用书/Debian Edu 手册"
#: Published after the box is up, to show that it comes by itself.
LATER = "部编版/二年级上册/语文/识字 三字经"

PRACTISED = "日月水火山石田禾"
FILM_SIZE, FILM_FRAMES_PER_S, FRAMES_PER_STROKE, FRAMES_HELD = 480, 12, 9, 14
#: Longest that ffmpeg or espeak-ng may take for one lesson, in seconds.
PATIENCE_S = 240

_simplified = OpenCC("t2s")


def make_all(raw: Path, into: Path) -> Path:
    """Make the lessons from `raw`; the folder `into`, whole."""
    stamp = into / f".edition-{EDITION}"
    if stamp.exists():
        return into
    shutil.rmtree(into, ignore_errors=True)
    poems = list(_tang(raw))
    _first_grade(raw, _new(into / FIRST_GRADE))
    _third_grade(poems, _new(into / THIRD_GRADE))
    _sixth_grade(poems, _new(into / SIXTH_GRADE))
    _science(raw, _new(into / SCIENCE))
    _teachers(raw, _new(into / TEACHERS))
    _later(raw, _new(into / LATER))
    stamp.touch()
    return into


def _new(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _write(file: Path, *lines: str) -> None:
    file.write_text("\n".join(lines) + "\n", "utf-8")


def _first_grade(raw: Path, folder: Path) -> None:
    data = raw / STROKES / "package"
    bundle = _new(folder / "笔顺练习")
    practice = Path(__file__).parent / "practice"
    for file in practice.iterdir():
        shutil.copy(file, bundle)
    characters = _new(bundle / "characters")
    for text in PRACTISED:
        shutil.copy(data / f"{text}.json", characters)
    (characters / "index.json").write_text(json.dumps(list(PRACTISED), ensure_ascii=False), "utf-8")
    for text in "山水":
        character = strokes.load(data, text)
        strokes.picture(character, 800, len(character.outlines)).save(folder / f"图片 {text}.png")
    _film(data, folder / "笔顺动画 日月水火.mp4")
    _speech("日，月，水，火。 山，石，田，禾。", folder / "跟读 日月水火.mp3")
    _write(folder / "package.toml", 'creator = "hanzi-writer-data"', 'license = "Arphic PL"')


def _film(data: Path, target: Path) -> None:
    """The characters written stroke by stroke, each spoken as its writing begins; H.264 and AAC."""
    sound = target.with_name(".sound.wav")
    words = [strokes.load(data, text) for text in PRACTISED[:4]]
    with wave.open(str(sound), "wb") as track:
        for character in words:
            spoken = target.with_name(".word.wav")
            _speech(character.text, spoken)
            with wave.open(str(spoken)) as word:
                if character is words[0]:
                    track.setparams(word.getparams())
                count = len(character.outlines) * FRAMES_PER_STROKE + FRAMES_HELD
                room = count * word.getframerate() // FILM_FRAMES_PER_S
                said = word.readframes(min(word.getnframes(), room))
                track.writeframes(said + b"\0" * (room * word.getsampwidth() - len(said)))
            spoken.unlink()
    rate = str(FILM_FRAMES_PER_S)
    pictures = target.with_name(".pictures.rgb")
    with pictures.open("wb") as raw:
        for character in words:
            for image in strokes.frames(character, FILM_SIZE, FRAMES_PER_STROKE, FRAMES_HELD):
                raw.write(image.tobytes())
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24",
         "-s", f"{FILM_SIZE}x{FILM_SIZE}", "-r", rate, "-i", str(pictures), "-i", str(sound),
         "-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", rate, "-c:a", "aac", "-b:a", "48k",
         "-movflags", "+faststart", "-shortest", str(target)], check=True, timeout=PATIENCE_S)
    sound.unlink()
    pictures.unlink()


def _speech(text: str, target: Path) -> None:
    """`text` spoken in Mandarin, as WAV or MP3 by the target's suffix."""
    spoken = target if target.suffix == ".wav" else target.with_name(".spoken.wav")
    subprocess.run(["espeak-ng", "-v", "cmn", "-s", "120", "-w", str(spoken), text], check=True,
                   timeout=PATIENCE_S, capture_output=True)
    if spoken != target:
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", str(spoken), "-b:a", "48k", str(target)],
                       check=True, timeout=PATIENCE_S)
        spoken.unlink()


def _classic(raw: Path, name: str) -> Any:
    file = raw / POEMS / "package/chinese-poetry/mengxue" / f"{name}.json"
    return json.loads(file.read_text("utf-8"))


def _tang(raw: Path) -> Iterator[tuple[str, str, str, list[str]]]:
    """(form, title, author, lines) of the Three Hundred Tang Poems, in simplified characters."""
    book = _classic(raw, "tangshisanbaishou")
    for form in book["content"]:
        for poem in form["content"]:
            title = poem["chapter"] + (f"·{poem['subchapter']}" if poem["subchapter"] else "")
            yield (_simplified.convert(form["type"]), _simplified.convert(title),
                   _simplified.convert(poem["author"]), [_simplified.convert(x) for x in poem["paragraphs"]])


def _third_grade(poems: list[tuple[str, str, str, list[str]]], folder: Path) -> None:
    wanted = ("登鹳雀楼", "静夜思", "相思")
    by_title = {title: (form, title, author, lines) for form, title, author, lines in poems}
    for number, title in enumerate(wanted, start=1):
        form, _, author, lines = by_title[title]
        (folder / f"{number} {title}.html").write_text(_page(form, title, author, lines), "utf-8")
    _speech("".join("".join(by_title[title][3]) for title in wanted), folder / "朗读 古诗三首.mp3")
    _write(folder / "教学提示.md", "# 古诗三首 教学提示", "", "1. 听朗读，标出停顿。",
           "2. 说说诗里写了什么景物。", "3. 背诵《静夜思》。")
    _write(folder / "package.toml", 'description = "三首唐诗，带拼音和朗读。"', 'license = "公有领域"')


def _sixth_grade(poems: list[tuple[str, str, str, list[str]]], folder: Path) -> None:
    used: set[str] = set()
    for form, title, author, lines in poems:
        name = f"{title}（{author}）".replace("/", "／").replace("?", "")
        while f"{form}/{name}" in used:
            name += "·又"
        used.add(f"{form}/{name}")
        (folder / form).mkdir(exist_ok=True)
        (folder / form / f"{name}.html").write_text(_page(form, title, author, lines), "utf-8")
    _write(folder / "package.toml", 'name = "唐诗三百首"', 'license = "公有领域"')


def _page(form: str, title: str, author: str, lines: list[str]) -> str:
    """A poem as a page, each character with its pinyin above."""
    def ruby(line: str) -> str:
        sounds = iter(pinyin(line, style=Style.TONE, errors="ignore"))
        return "".join(f"<ruby>{c}<rt>{next(sounds)[0]}</rt></ruby>" if "\u4e00" <= c <= "\u9fff"
                       else html.escape(c) for c in line)
    verses = "\n".join(f"<p>{ruby(line)}</p>" for line in lines)
    return f"""<!DOCTYPE html>
<html lang="zh-CN">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>
body {{ margin: 2rem auto; max-width: 40rem; padding: 0 1rem; text-align: center; font: 1.5rem/2.4 serif;
       color: #20242f; background: #fffdf8 }}
h1 {{ font-size: 2rem }}
rt {{ font-size: .5em; color: #6a5a4a }}
</style>
</head>
<body>
<h1>{html.escape(title)}</h1>
<p>{html.escape(author)} · {html.escape(form)}</p>
{verses}
</body>
</html>
"""


def _science(raw: Path, folder: Path) -> None:
    films = raw / EXPERIMENTS / "usr/share/pymecavideo/data/video"
    shutil.copy(films / "balle-jbart.mp4", folder / "实验录像 抛球.mp4")
    _write(folder / "观察记录.txt", "观察：球离开手以后怎样运动？", "画出它走过的路线。", "", "时间\t高度")


def _teachers(raw: Path, folder: Path) -> None:
    shutil.copy(manual(raw, "pdf"), folder / "Debian Edu 手册.pdf")
    _unwrap_epub(manual(raw, "epub"), folder / "Debian Edu 手册.epub")
    pages = _new(folder / "Debian Edu 手册 网页")
    source = manual(raw, "html")
    shutil.copy(source, pages / "index.html")
    pictures = _new(pages / (source.stem + "-images"))
    for name, data in manual_pictures(raw).items():
        (pictures / name).write_bytes(data)
    _write(folder / "package.toml", 'license = "GPL-2.0-or-later"', 'learningResourceType = "教师用书"')


def _unwrap_epub(source: Path, target: Path) -> None:
    """The package's EPUB lies in a folder inside its own archive, where no reading app finds it (EPUB OCF 3.3
    §4.2 wants `mimetype` first and `META-INF` at the top); the same book, packed as it must be."""
    with zipfile.ZipFile(source) as wrapped, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr(zipfile.ZipInfo("mimetype"), "application/epub+zip")
        for name in wrapped.namelist():
            inner = name.partition("/")[2]
            if inner and not name.endswith("/") and inner != "mimetype":
                book.writestr(zipfile.ZipInfo(inner), wrapped.read(name), zipfile.ZIP_DEFLATED)


def _later(raw: Path, folder: Path) -> None:
    book = _classic(raw, "sanzijing-new")
    lines = [_simplified.convert(line) for line in book["paragraphs"][:12]]
    (folder / "三字经.html").write_text(_page("蒙学", "三字经", "王应麟", lines), "utf-8")
    _speech("".join(lines[:4]), folder / "朗读 三字经.mp3")
