"""Searching the catalogue. SQLite is the truth, the tantivy index is derived and may be deleted.

Results stand in this order: those that have every word in their own name, those that have the rest in
what is said about them (package, subject, grade, creator …), those that have the rest in their text;
within each in teaching order. Two boxes with the same packages give the same answer.

`refresh` brings the index up to date in a program of its own (`edge.indexing`); until a new one is
ready the old one answers, and where there is none yet, SQLite looks through the names: no pinyin, no
texts, but never nothing. An index that turns out damaged is dropped and built anew the same way.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tantivy

from edge.catalogue import Catalogue
from edge.indexing import State, read_state, read_text, schema, update, whole
from edge.terms import MOST_QUERY_CHARACTERS, Word, fold, query_words
from sync import programs
from sync.clock import SYSTEM
from sync.errors import TeachpointError
from sync.logs import log

#: Most results of one call, and the furthest place a result is asked for.
MOST_RESULTS = 1000
MOST_OFFSET = 1_000_000
#: Answers kept for each index: the same words are typed in forty seats at once.
MOST_REMEMBERED = 512
#: How often the background thread looks for a new generation, in seconds (one indexed read).
LOOK_EVERY_S = 2.0
#: The background thread rests this many times as long as the last update took: a box that receives
#: for hours must not spend them indexing.
REST_TIMES = 10
#: After a failed update it rests this long, in seconds.
REST_AFTER_FAILURE_S = 60.0
#: Longest an update may take, in seconds: a million resources on a slow box.
MOST_UPDATE_S = 6 * 3600.0
#: How far the program that updates the index stands back for those who wait for a page, as nice(1) counts.
NICENESS = 10
#: A word of at least this many letters is also looked for as the beginning of words in texts.
LEAST_TEXT_PREFIX = 3

Key = tuple[str, str]
Builder = Callable[[Path, Path, Path], object]

_NAME, _ABOUT, _TEXT = "name", "about", "text"
_TIERS = ((_NAME,), (_NAME, _ABOUT), (_NAME, _ABOUT, _TEXT))


@dataclass(frozen=True)
class Results:
    """One page of results: how many there are in all, and (package, resource) of those asked for. The last
    `by_text` of them have some of the words in their text alone.

    `source` is `index`, or `names` while there is no index; `generation` is that of what was searched.
    """

    total: int
    keys: tuple[Key, ...]
    source: str
    generation: int
    by_text: int = 0


@dataclass
class _Open:
    """An index that is open, with what it answered."""

    state: State
    searcher: tantivy.Searcher
    lock: threading.Lock = field(default_factory=threading.Lock)
    remembered: OrderedDict[Any, Results] = field(default_factory=OrderedDict)  # guarded by lock

    def recall(self, key: Any) -> Results | None:
        with self.lock:
            if key in self.remembered:
                self.remembered.move_to_end(key)
            return self.remembered.get(key)

    def remember(self, key: Any, results: Results) -> Results:
        with self.lock:
            self.remembered[key] = results
            while len(self.remembered) > MOST_REMEMBERED:
                self.remembered.popitem(last=False)
        return results


def build_in_child(database: Path, library: Path, folder: Path,
                   started: Callable[[Any], None] | None = None) -> None:
    """Update the index in a program of its own. Raises Broken `program-failed`, `program-timeout`."""
    frozen = getattr(sys, "frozen", False)  # the one executable has no `-m`; there it is a command
    command = (["box", "index", "--data", str(database.parent)] if frozen else
               ["-m", "edge.indexing", str(database), str(library), str(folder)])

    def begun(process: Any) -> None:
        with contextlib.suppress(OSError):  # it has ended already
            ours = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, process.pid, max(ours, NICENESS))
        if started is not None:
            started(process)

    programs.run(sys.executable, *command, timeout_s=MOST_UPDATE_S, started=begun,
                 cwd=None if frozen else Path(__file__).parent.parent)


class SearchIndex:
    """The search of one box. Safe to use from many threads.

    `catalogue` gives the calling thread's catalogue; `build` replaces the program that updates the
    index (tests run it in this process).
    """

    def __init__(self, folder: Path, database: Path, *, library: Path | None = None,
                 catalogue: Callable[[], Catalogue] | None = None, build: Builder | None = None) -> None:
        self.folder = folder
        self.database = database
        self.library = library or database.parent / "library"
        self._own = threading.local()
        self._catalogue = catalogue or self._own_catalogue
        self._build: Builder = build or self._build_in_child
        self._opened: _Open | None = None          # replaced as a whole, never changed
        self._refreshing = threading.Lock()        # held by the one thread that updates the index
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._child: Any = None

    # -- asking -----------------------------------------------------------------------------------

    def search(self, q: str, *, grade: str | None = None, subject: str | None = None,
               type: str | None = None, package: str | None = None, complete: bool | None = None,
               limit: int = 50, offset: int = 0) -> tuple[int, list[Key]]:
        """How many resources match `q`, and (package, resource) of those from `offset` on.

        Whatever is in `q`, this does not raise; a query without a letter or digit finds nothing.
        """
        results = self.results(q, grade=grade, subject=subject, type=type, package=package,
                               complete=complete, limit=limit, offset=offset)
        return results.total, list(results.keys)

    def results(self, q: str, *, grade: str | None = None, subject: str | None = None,
                type: str | None = None, package: str | None = None, complete: bool | None = None,
                limit: int = 50, offset: int = 0) -> Results:
        """As `search`, and where the answer comes from."""
        words = query_words(q[:MOST_QUERY_CHARACTERS])
        limit, offset = min(max(limit, 0), MOST_RESULTS), min(max(offset, 0), MOST_OFFSET)
        wishes = {"grade": grade, "subject": subject, "type": type, "package": package,
                  "complete": None if complete is None else str(int(complete))}
        filters = {name: value.encode("utf-8", "backslashreplace").decode("utf-8")
                   for name, value in wishes.items() if value is not None}
        opened = self._opened
        if opened is not None:
            key = (words, tuple(filters.items()), limit, offset)
            found = opened.recall(key)
            if found is not None:
                return found
            try:
                return opened.remember(key, _ask(opened, queries(words, filters), limit, offset))
            except BaseException as error:  # a panic in the index is no Exception
                if isinstance(error, KeyboardInterrupt | SystemExit):
                    raise
                self._drop(opened, error)
        if not words:
            return Results(0, (), "names", 0)
        catalogue = self._catalogue()
        total, keys = catalogue.named([word.text for word in words], grade, subject, type=type,
                                      package=package, complete=complete, limit=limit, offset=offset)
        return Results(total, tuple(keys), "names", catalogue.generation())

    def page_of(self, text: str, q: str) -> int | None:
        """The page (from 1) of the text object `text` that has the most words of `q`, the first of them; None
        if none has any."""
        words = query_words(q[:MOST_QUERY_CHARACTERS])
        if not words:
            return None
        patterns = [re.compile(re.escape(w.text) if w.han else r"\b0*" + re.escape(w.text)) for w in words]
        best, most = None, 0
        for number, page in enumerate(read_text(self.library, text).split("\f"), 1):
            plain = fold(page)
            count = sum(pattern.search(plain) is not None for pattern in patterns)
            if count > most:
                best, most = number, count
            if most == len(patterns):
                break
        return best

    def generation(self) -> int | None:
        """The generation of the index in use; None while there is none."""
        opened = self._opened
        return opened.state.generation if opened else None

    # -- keeping it up to date --------------------------------------------------------------------

    def refresh(self) -> bool:
        """Open the index; bring it up to date first if it is missing, damaged or old.

        Waits until that is done (another thread may search meanwhile); True if it is now up to date.
        """
        with self._refreshing:
            generation = self._catalogue().generation()
            if self._open() == generation:
                return True
            try:
                self._build(self.database, self.library, self.folder)
            except TeachpointError as error:
                log("edge.search").error("index-not-updated", code=error.code, reason=str(error))
            return (self._open() or -1) >= generation

    def start(self) -> None:
        """Keep the index up to date in the background, from now until `stop`."""
        if self._thread is None:
            self._stopped.clear()
            self._thread = threading.Thread(target=self._keep, name="search-index", daemon=True)
            self._thread.start()

    def wake(self) -> None:
        """Look for a new generation now."""
        self._wake.set()

    def stop(self) -> None:
        """End the background work; an update under way is broken off (the old index stays)."""
        self._stopped.set()
        self._wake.set()
        child, thread = self._child, self._thread
        if child is not None:
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
        if thread is not None:
            thread.join(timeout=10)
        self._thread = None

    # -- inside -----------------------------------------------------------------------------------

    def _keep(self) -> None:
        rest_until = 0.0
        while not self._stopped.is_set():
            before = SYSTEM.monotonic()
            if before >= rest_until:
                try:
                    done = self.refresh() if self._stale() else True
                except Exception as error:
                    log("edge.search").error("index-not-updated", reason=repr(error))
                    done = False
                took = SYSTEM.monotonic() - before
                rest_until = SYSTEM.monotonic() + (took * REST_TIMES if done else REST_AFTER_FAILURE_S)
            self._wake.wait(LOOK_EVERY_S)
            self._wake.clear()

    def _stale(self) -> bool:
        opened = self._opened
        return opened is None or opened.state.generation != self._catalogue().generation()

    def _open(self) -> int | None:
        """Open what `current.json` names, if it is not open yet; the generation of what is open."""
        state = read_state(self.folder)
        opened = self._opened
        if state is None:
            return None
        if opened is not None and opened.state == state:
            return state.generation
        if not whole(self.folder, state):
            return None
        try:
            index = tantivy.Index.open(str(self.folder / state.folder))
            index.config_reader("manual")  # no thread that watches the folder: refresh knows when
            index.reload()
            self._opened = _Open(state, index.searcher())
        except (ValueError, OSError) as error:
            self._forget(state, error)
            return None
        return state.generation

    def _drop(self, opened: _Open, error: BaseException) -> None:
        """The index failed while answering: answer without it, and build it anew."""
        if self._opened is opened:
            self._opened = None
            self._forget(opened.state, error)
            self._wake.set()

    def _forget(self, state: State, error: BaseException) -> None:
        log("edge.search").error("index-unusable", folder=state.folder, reason=str(error)[:500])
        (self.folder / "current.json").unlink(missing_ok=True)

    def _own_catalogue(self) -> Catalogue:
        found: Catalogue | None = getattr(self._own, "catalogue", None)
        if found is None:
            found = self._own.catalogue = Catalogue(self.database)
        return found

    def _build_in_child(self, database: Path, library: Path, folder: Path) -> None:
        def started(process: Any) -> None:
            self._child = process

        try:
            build_in_child(database, library, folder, started)
        finally:
            self._child = None


def build_here(database: Path, library: Path, folder: Path) -> None:
    """Update the index in this process: for tests and programs that end afterwards."""
    update(database, library, folder)


def _ask(opened: _Open, tiers: Sequence[tantivy.Query], limit: int, offset: int) -> Results:
    """Each query costs what it finds, so the lower ranks are only counted where the higher ones fill the
    page: by the last of `tiers`, that finds them all."""
    total = by_text = 0
    keys: list[Key] = []
    for query, fields in zip(tiers, _TIERS, strict=False):
        start, wanted = max(offset - total, 0), limit - len(keys)
        if wanted <= 0:
            total = _find(opened, tiers[-1], 1, 0).count
            break
        found = _find(opened, query, wanted, start)
        if start < found.count:
            for _, address in found.hits:
                package, _, resource = str(opened.searcher.doc(address)["key"][0]).partition("\n")
                keys.append((package, resource))
                by_text += fields[-1] == _TEXT
        total += found.count
    return Results(total, tuple(keys), "index", opened.state.generation, by_text)


def _find(opened: _Open, query: tantivy.Query, limit: int, offset: int) -> Any:
    return opened.searcher.search(query, limit=limit, offset=offset, count=True, order_by_field="rank",
                                  order=tantivy.Order.Asc)


def queries(words: Sequence[Word], filters: dict[str, str]) -> list[tantivy.Query]:
    """One query for each rank of results, the best first; none of them finds what a better one finds. And one
    that finds all that they find."""
    index = schema()
    narrow = [(tantivy.Occur.Must, tantivy.Query.term_query(index, name, "=" + value))
              for name, value in filters.items()]
    found: list[tantivy.Query] = []
    better: list[tuple[tantivy.Occur, tantivy.Query]] = []
    for fields in _TIERS if words else ():
        query = _all(index, words, fields)
        found.append(tantivy.Query.boolean_query([(tantivy.Occur.Must, query), *narrow, *better]))
        better = [(tantivy.Occur.MustNot, query)]
    if words:  # the last rank's words are looked for in all fields
        found.append(tantivy.Query.boolean_query([(tantivy.Occur.Must, query), *narrow]))
    return found


def _all(index: tantivy.Schema, words: Sequence[Word], fields: Sequence[str]) -> tantivy.Query:
    """Every word, each in one of the fields."""
    wanted = []
    for place, word in enumerate(words):
        typing = place == len(words) - 1
        some = [way for name in fields for way in _in_field(index, word, name, typing)]
        wanted.append((tantivy.Occur.Must, _any(some)))
    return wanted[0][1] if len(wanted) == 1 else tantivy.Query.boolean_query(wanted)


def _in_field(index: tantivy.Schema, word: Word, name: str, typing: bool) -> list[tantivy.Query]:
    if name != _TEXT:
        return [_every(index, name, terms) for terms in word.ways]
    if typing and not word.han and len(word.text) >= LEAST_TEXT_PREFIX:
        return [tantivy.Query.regex_query(index, name, re.escape(word.in_text[0]) + ".*")]
    return [_every(index, name, word.in_text)]


def _every(index: tantivy.Schema, name: str, terms: Sequence[str]) -> tantivy.Query:
    queries = [tantivy.Query.term_query(index, name, term, "basic") for term in terms]
    if len(queries) == 1:
        return queries[0]
    return tantivy.Query.boolean_query([(tantivy.Occur.Must, query) for query in queries])


def _any(queries: Sequence[tantivy.Query]) -> tantivy.Query:
    if len(queries) == 1:
        return queries[0]
    return tantivy.Query.boolean_query([(tantivy.Occur.Should, query) for query in queries])
