"""Answers that are ready: whole pages, given again to whoever asks the same for as long as they are true.

A page of the classroom is the same for all who ask for it in one language, until what it was made of has
changed. Then the thread that reads requests sends it from here, and wakes no other: measured with 16 clients,
it costs 90 µs of processor time in place of 500, and does not wait for threads that are at work on others.

A view says itself that its answer may be given again: it puts its age into the WSGI environment (`may_keep`).
An age is something to compare, taken before the view reads anything: while it is the same, so is the page.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from werkzeug.http import http_date, parse_cookie

from sync.clock import SYSTEM
from sync.errors import TeachpointError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

#: Most bytes of answers kept; their bodies are mostly those that `edge.page_cache` keeps as well.
MOST_BYTES = 8 * 1024 * 1024
#: Longest question that is kept, in characters: what is longer is asked once.
MOST_QUESTION = 1000

_KEEP, _COUNT = "teachpoint.keep", "teachpoint.count"

Age = Callable[[], object]


class Question(NamedTuple):
    """All of a GET that an answer may depend on, as it came. `known` is the ETag that the asker has."""

    path: str
    query: str
    host: str
    scheme: str
    language: str
    known: str


@dataclass(frozen=True, slots=True)
class _Kept:
    head: bytes
    body: bytes
    age: Age
    then: object
    count: Callable[[], object]

    def __len__(self) -> int:
        return len(self.head) + len(self.body)


def may_keep(environ: WSGIEnvironment, age: Age, then: object) -> None:
    """The answer to this request is true while `age()` is `then`, for whoever asks this `Question`."""
    environ[_KEEP] = (age, then)


def count_by(environ: WSGIEnvironment, count: Callable[[], object]) -> None:
    """Call `count` each time the answer to this request is given again."""
    environ[_COUNT] = count


class Ready:
    """An app with its answers that are ready. `language` chooses by the cookies and Accept-Language."""

    def __init__(self, app: WSGIApplication, language: Callable[[dict[str, str], str], str],
                 most_bytes: int = MOST_BYTES) -> None:
        self._app, self._language, self._most_bytes = app, language, most_bytes
        self._lock = threading.Lock()
        self._answers: OrderedDict[Question, _Kept] = OrderedDict()  # guarded by _lock
        self._bytes = 0  # guarded by _lock

    def question(self, path: str, query: str, scheme: str, headers: Callable[[str], str | None]) -> Question:
        """The question of a GET; `headers` gives one by its name in WSGI, without HTTP_."""
        cookies = headers("COOKIE")
        language = self._language(dict(parse_cookie(cookies).items()) if cookies else {},
                                  headers("ACCEPT_LANGUAGE") or "")
        return Question(path, query, headers("HOST") or "", scheme, language, headers("IF_NONE_MATCH") or "")

    def at_once(self, question: Question) -> bytes | None:
        """The whole answer to `question`, as HTTP, if it is here and true."""
        kept = self._answers.get(question)
        if kept is None:
            return None
        try:
            true = kept.age() == kept.then
        except TeachpointError:  # whoever makes the page will say so
            true = False
        with self._lock:
            if not true:
                self._forget(question)
                return None
            if question in self._answers:
                self._answers.move_to_end(question)
        kept.count()
        return b"%sDate: %s\r\n\r\n%s" % (kept.head, http_date(SYSTEM.now()).encode(), kept.body)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The app's answer; it is kept if a view allows that."""
        begun: list[tuple[str, list[tuple[str, str]]]] = []

        def begin(status: str, headers: list[tuple[str, str]], error: Any = None) -> Any:
            begun[:] = [(status, headers)]
            return start_response(status, headers, error)

        answer = self._app(environ, begin)
        if _KEEP not in environ or environ["REQUEST_METHOD"] != "GET":
            return answer
        try:
            body = b"".join(answer)
        finally:
            if hasattr(answer, "close"):
                answer.close()
        [(status, headers)] = begun
        if status[:3] in ("200", "304") and not any(name == "Set-Cookie" for name, _ in headers):
            self._keep(environ, status, headers, body)
        return [body]

    def _keep(self, environ: WSGIEnvironment, status: str, headers: list[tuple[str, str]],
              body: bytes) -> None:
        question = self.question(environ["PATH_INFO"], environ["QUERY_STRING"], environ["wsgi.url_scheme"],
                                 lambda name: environ.get(f"HTTP_{name}"))
        if sum(map(len, question)) > MOST_QUESTION:
            return
        lines = (f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers))
        age, then = environ[_KEEP]
        kept = _Kept("".join(f"{line}\r\n" for line in lines).encode("latin-1"), body, age, then,
                     environ.get(_COUNT, lambda: None))
        with self._lock:
            self._forget(question)
            self._answers[question] = kept
            self._bytes += len(kept)
            while self._bytes > self._most_bytes:
                self._forget(next(iter(self._answers)))

    def _forget(self, question: Question) -> None:
        self._bytes -= len(self._answers.pop(question, b""))
