"""Which terms a text has in the search index, and which a query asks for. No I/O.

The index knows only opaque terms; both sides of it are made here, so that they fit:

大 · 大青           each character of a Chinese run and each pair of neighbours
=hello             a whole word of letters or digits (Latin, Tibetan, Uyghur, Cyrillic …)
^h · ^he · …       its beginnings, so that a word is found while it is being typed
'dqs               1-4 pinyin initials in a row: the first letters of neighbours
~qi · ~qing        beginnings (2 letters and more) of one pinyin syllable
da'q · da'qing     a whole syllable and the beginning of the next

Case, width (ＡＢＣ), and accents over Latin letters (dà, lǜ) do not matter; ü and v are u.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

#: Change it whenever the same text would get other terms: the index is then built anew.
TERMS_VERSION = 1

#: Longest query looked at, in characters, and most words of it: nobody types more into a search box.
MOST_QUERY_CHARACTERS = 200
MOST_QUERY_WORDS = 12
#: Longest beginning of a word that gets a term of its own; what is typed beyond it is not looked at.
MOST_PREFIX = 12
#: Longest word kept, in characters: what is longer is an id or garbage.
MOST_WORD = 40
#: Initials in a row that get one term. Longer queries ask for all their runs of this length.
MOST_INITIALS = 4
#: Most ways of cutting a word into pinyin syllables that are asked for.
MOST_CUTS = 8

_HAN = (
    "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # 々〇, extension A, unified, compatibility
    "\u3040-\u30ff\u31f0-\u31ff\uac00-\ud7a3"              # kana, hangul: no spaces to cut at either
    "\U00020000-\U0003fffd"                                # extensions B and later
)
#: Marks that belong to the letter before them: vowel signs of Tibetan, Thai, Arabic, Devanagari …
_SIGNS = (
    "\u0300-\u036f\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u0900-\u0903\u093a-\u094f"
    "\u0951-\u0957\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1-\u0ebc\u0f18\u0f19\u0f35\u0f37\u0f39\u0f71-\u0f84"
    "\u0f86\u0f87\u0f8d-\u0fbc\u102b-\u103e\u1056-\u1059\u180b-\u180d"
)
_LETTER = f"[^\\W\\d_{_HAN}][{_SIGNS}]*"
_PIECE = re.compile(f"([{_HAN}]+)|((?:{_LETTER})+(?:['’](?:{_LETTER})+)*)|(\\d+)")
#: Latin letters with accents, and combining accents.
_ACCENTED = re.compile("[\u0080-\u024f\u0300-\u036f\u1e00-\u1eff]")

_SYLLABLES = frozenset("""
a ai an ang ao ba bai ban bang bao bei ben beng bi bian biang biao bie bin bing bo bu ca cai can cang cao
ce cen ceng cha chai chan chang chao che chen cheng chi chong chou chu chua chuai chuan chuang chui chun
chuo ci cong cou cu cuan cui cun cuo da dai dan dang dao de dei den deng di dia dian diao die ding diu
dong dou du duan dui dun duo e ei en eng er fa fan fang fei fen feng fo fou fu ga gai gan gang gao ge gei
gen geng gong gou gu gua guai guan guang gui gun guo ha hai han hang hao he hei hen heng hong hou hu hua
huai huan huang hui hun huo ji jia jian jiang jiao jie jin jing jiong jiu ju juan jue jun ka kai kan kang
kao ke kei ken keng kong kou ku kua kuai kuan kuang kui kun kuo la lai lan lang lao le lei leng li lia
lian liang liao lie lin ling liu lo long lou lu luan lue lun luo ma mai man mang mao me mei men meng mi
mian miao mie min ming miu mo mou mu na nai nan nang nao ne nei nen neng ni nian niang niao nie nin ning
niu nong nou nu nuan nue nuo o ou pa pai pan pang pao pei pen peng pi pian piao pie pin ping po pou pu qi
qia qian qiang qiao qie qin qing qiong qiu qu quan que qun ran rang rao re ren reng ri rong rou ru rua
ruan rui run ruo sa sai san sang sao se sen seng sha shai shan shang shao she shei shen sheng shi shou shu
shua shuai shuan shuang shui shun shuo si song sou su suan sui sun suo ta tai tan tang tao te tei teng ti
tian tiao tie ting tong tou tu tuan tui tun tuo wa wai wan wang wei wen weng wo wu xi xia xian xiang xiao
xie xin xing xiong xiu xu xuan xue xun ya yan yang yao ye yi yin ying yo yong you yu yuan yue yun za zai
zan zang zao ze zei zen zeng zha zhai zhan zhang zhao zhe zhei zhen zheng zhi zhong zhou zhu zhua zhuai
zhuan zhuang zhui zhun zhuo zi zong zou zu zuan zui zun zuo
""".split())  # noqa: SIM905 - four hundred quoted words would be harder to read
_BEGINNINGS = frozenset(s[:n] for s in _SYLLABLES for n in range(1, len(s) + 1))
_LONGEST_SYLLABLE = max(map(len, _SYLLABLES))

#: Reads a Chinese run: one syllable for each character, in the spelling of `pinyin_spelling`.
Reader = Callable[[str], Sequence[str]]


@dataclass(frozen=True)
class Word:
    """One word of a query. A name has it if it has all terms of at least one of `ways`; a long text
    has it if it has all of `in_text` (there are no beginnings and no pinyin)."""

    text: str
    han: bool
    ways: tuple[tuple[str, ...], ...]
    in_text: tuple[str, ...]


@dataclass(frozen=True)
class Piece:
    """A run of one kind in a text: `han` or not."""

    text: str
    han: bool


def fold(text: str) -> str:
    """`text` without what does not matter: case, width, accents over Latin letters."""
    if text.isascii():
        return text.lower()
    clean = text.encode("utf-8", "ignore").decode("utf-8")
    folded = unicodedata.normalize("NFKC", clean).casefold()
    if not _ACCENTED.search(folded):
        return folded
    decomposed = unicodedata.normalize("NFD", folded)
    kept = []
    latin = False
    for character in decomposed:
        if not unicodedata.combining(character):
            latin = character < "\u0250"
            kept.append(character)
        elif not latin:
            kept.append(character)
    return unicodedata.normalize("NFC", "".join(kept))


def pieces(text: str) -> list[Piece]:
    """The runs of a text that can be searched for: Chinese runs, words, numbers."""
    return [Piece(m[1] or (m[2] or m[3])[:MOST_WORD], bool(m[1])) for m in _PIECE.finditer(fold(text))]


def han_terms(run: str) -> set[str]:
    """The characters and pairs of a Chinese run."""
    return {*run, *(run[i:i + 2] for i in range(len(run) - 1))}


def name_terms(texts: Iterable[str], read: Reader) -> set[str]:
    """All terms of short texts such as names: with beginnings of words, and pinyin through `read`."""
    terms: set[str] = set()
    for text in texts:
        for piece in pieces(text):
            if piece.han:
                terms |= han_terms(piece.text)
                terms |= pinyin_terms(read(piece.text))
            else:
                for form in _forms(piece.text):
                    terms.add("=" + form)
                    terms.update("^" + form[:n] for n in range(1, min(len(form), MOST_PREFIX) + 1))
    return terms


def text_terms(text: str) -> set[str]:
    """The terms of a long text: characters, pairs, whole words; no beginnings, no pinyin."""
    terms: set[str] = set()
    for piece in pieces(text):
        if piece.han:
            terms |= han_terms(piece.text)
        else:
            terms.update("=" + form for form in _forms(piece.text))
    return terms


def pinyin_terms(syllables: Sequence[str]) -> set[str]:
    """The pinyin terms of neighbours that are read `syllables` (an empty one breaks the run)."""
    terms: set[str] = set()
    initials = [s[:1] for s in syllables]
    for place, syllable in enumerate(syllables):
        if not syllable:
            continue
        run = ""
        for initial in initials[place:place + MOST_INITIALS]:
            if not initial:
                break
            run += initial
            terms.add("'" + run)
        terms.update("~" + syllable[:n] for n in range(2, len(syllable) + 1))
        following = syllables[place + 1] if place + 1 < len(syllables) else ""
        terms.update(f"{syllable}'{following[:n]}" for n in range(1, len(following) + 1))
    return terms


def pinyin_spelling(syllable: str) -> str:
    """A syllable as it stands in terms: plain letters, u for ü and v; "" for what is no syllable."""
    plain = fold(syllable).replace("v", "u")
    return plain if plain in _SYLLABLES else ""


@lru_cache(maxsize=1024)
def query_words(query: str) -> tuple[Word, ...]:
    """What a query asks for: a text must have every word. Any text is a query; garbage asks for nothing."""
    words: list[Word] = []
    for piece in pieces(query[:MOST_QUERY_CHARACTERS])[:MOST_QUERY_WORDS]:
        if piece.han:
            run = piece.text
            pairs = dict.fromkeys(run[i:i + 2] for i in range(len(run) - 1))
            terms = tuple(pairs) or (run,)
            word = Word(run, True, (terms,), terms)
        else:
            word = _latin(piece.text)
        if word not in words:
            words.append(word)
    return tuple(words)


def _latin(text: str) -> Word:
    ways: list[tuple[str, ...]] = [("^" + text[:MOST_PREFIX],)]
    spelled = text.replace("v", "u")
    if spelled.isascii() and spelled.isalpha():
        if len(spelled) <= MOST_INITIALS:
            ways.append(("'" + spelled,))
        else:
            ways.append(tuple(dict.fromkeys("'" + spelled[i:i + MOST_INITIALS]
                                            for i in range(len(spelled) - MOST_INITIALS + 1))))
        ways += [_syllable_terms(cut) for cut in cuts(spelled)]
    return Word(text, False, tuple(dict.fromkeys(way for way in ways if way)), ("=" + text,))


def _syllable_terms(cut: Sequence[str]) -> tuple[str, ...]:
    if len(cut) == 1:
        return ("~" + cut[0],) if len(cut[0]) > 1 else ()
    return tuple(dict.fromkeys(f"{cut[i]}'{cut[i + 1]}" for i in range(len(cut) - 1)))


def cuts(word: str) -> list[tuple[str, ...]]:
    """Ways to cut `word` into syllables, the last of which may be unfinished; long syllables first."""
    found: list[tuple[str, ...]] = []
    dead: set[int] = set()  # places from which no cut reaches the end

    def follow(at: int, so_far: tuple[str, ...]) -> bool:
        if len(found) >= MOST_CUTS or at in dead:
            return False
        reached = False
        if word[at:] in _BEGINNINGS:
            found.append((*so_far, word[at:]))
            reached = True
        for length in range(min(_LONGEST_SYLLABLE, len(word) - at - 1), 0, -1):
            if word[at:at + length] in _SYLLABLES:
                reached |= follow(at + length, (*so_far, word[at:at + length]))
        if not reached and len(found) < MOST_CUTS:
            dead.add(at)
        return reached

    if len(word) <= MOST_WORD:
        follow(0, ())
    return found


def _forms(word: str) -> tuple[str, ...]:
    """A word, and a number also without its leading zeros: 01 is found by 1."""
    if word[0] == "0" and word.isdecimal():
        return (word, word.lstrip("0") or "0")
    return (word,)
