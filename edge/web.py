"""The classroom's pages: what a teacher sees. Rendered here, whole, before any script has run.

Each view says what its page depends on; ETag and the copy kept in memory follow from it
(`edge.page_cache`). What a page shows is made into plain values (`edge.shown`, `edge.facts`) for the
templates of `kiosk_ui`. Opening a resource is noted in the journal, beside the answer, never before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from itertools import zip_longest
from typing import Any

from flask import Blueprint, Flask, Response, abort, g, redirect, request, send_from_directory
from werkzeug.wrappers import Response as AnyResponse

from edge import errors, shown
from edge.browse import Chosen, browsed
from edge.catalogue import ResourceRow
from edge.facts import BoxFacts, Status
from edge.help_page import addresses_of, square
from edge.opened import Append, OpenedNotes
from edge.origin import checked_host, looks_ahead, protect
from edge.page_cache import PageCache, tag_of
from edge.ready import Age, may_keep
from edge.snapshot import PackageRow
from edge.state import EXTENSION, EdgeState, page_url
from edge.today import Day
from edge.viewing import is_paper, viewed
from kiosk_ui import i18n, pages
from sync.order import subject_key

#: Rows of a list page; the rest is on further pages (60 KB a page).
RESOURCES_A_PAGE = 60
RESULTS_A_PAGE = 30
#: Suggestions while one types: lessons, and what is in them; looked for among so many results.
MOST_SUGGESTED_LESSONS, MOST_SUGGESTED, SUGGESTED_FROM = 3, 6, 24
#: Cards on the first page: so many a grade, the fewer the more grades there are; for at most so many grades.
NEWEST_A_GRADE = ((8, 6), (12, 4), (20, 2))
#: The same below a day by the timetable of so many entries.
NEWEST_BELOW_A_DAY = ((24, 3), (10_000, 1))
#: How many of a grade's newest lessons are looked at, to show some of each subject.
NEWEST_LOOKED_AT = 60
#: Names beside a resource: those around it in its lesson.
BESIDE = 9
#: Longest query of the search box, in characters.
MOST_QUERY = 100
#: How long the chosen language is remembered, in seconds.
LANGUAGE_AGE_S = 365 * 86400
#: How long a browser keeps what stands under `/static/` (its address changes with it), in seconds.
STATIC_AGE_S = 365 * 86400

#: The policy of what stands under `/static/`; it matters to workers and to SVG.
STATIC_POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'; frame-ancestors 'self'"

LANGUAGE_COOKIE = "teachpoint-language"


class Classroom:
    """The pages of one box. `ask_status` is `box_status`, `journal` opens the journal for a thread."""

    def __init__(self, state: EdgeState, ask_status: Callable[[], Status],
                 journal: Callable[[], Append]) -> None:
        self.state = state
        self.facts = BoxFacts(ask_status, state.clock)
        self.opened = OpenedNotes(journal)
        self.cache = PageCache()
        self.day = Day()
        #: Does anybody sign in here? `edge.sign_in` knows.
        self.has_teachers: Callable[[], bool] = lambda: False
        #: May the one who asks switch the box off? `edge.power_page` knows.
        self.may_switch_off: Callable[[], bool] = lambda: False

    # -- answering --------------------------------------------------------------------------------

    def common(self, here: str = "") -> dict[str, Any]:
        """What every page shows; asks nothing that could fail."""
        address = request.full_path.rstrip("?") if request.method in ("GET", "HEAD") else request.path
        return {"site": {"id": self.state.site, "name": self.state.name}, "here": here, "q": "",
                "other_language": next(x for x in i18n.LANGUAGES if x != g.language), "this_address": address}

    def page(self, template: str, here: str, values: dict[str, Any] | Callable[[], dict[str, Any]],
             *depends: object) -> Response:
        """A page; made anew only where something it depends on has changed (generation, language, address,
        host, and `depends`)."""
        common = self.common(here)
        tag = tag_of(template, g.language, g.content_origin, request.headers.get("Host"), common,
                     self.state.catalogue().generation(), depends)
        if tag in request.if_none_match:
            return self.dated(Response(status=304), tag)
        body = self.cache.get(tag)
        if body is None:
            made = values() if callable(values) else values
            body = pages.render(template, g.language, **{**common, **made}).encode("utf-8", "replace")
            self.cache.keep(tag, body)
        return self.dated(Response(body, mimetype="text/html"), tag)

    def dated(self, response: Response, tag: str) -> Response:
        """Kept by browsers, but asked for again each time."""
        response.set_etag(tag)
        response.headers["Cache-Control"] = "private, no-cache"
        response.headers["Vary"] = "Accept-Language, Cookie"
        return response

    # -- pages ------------------------------------------------------------------------------------

    def box_facts(self) -> dict[str, Any]:
        """How the box is doing; what is still coming is a link as soon as there is a page of it."""
        facts = self.facts.values(g.language)
        catalogue = self.state.catalogue()
        return {**facts, "coming": [
            item if catalogue.package(item["id"]) else {**item, "address": None} for item in facts["coming"]]}

    def today(self) -> Response:
        """The day by the timetable; what is new, by grade and subject; what is still coming; a search box on
        top."""
        facts = self.box_facts()
        day = self.day.values(self.state.catalogue(), self.facts.status(), self.state.clock.now())
        part = {name: facts[name] for name in ("stick", "problems", "coming", "coming_more", "bytes_left")}
        part["hub"] = {**facts["hub"], "error": None}
        told = ("state", "opens", "limit", "finish") if facts["coming"] else ()
        part["line"] = {name: facts["line"][name] for name in told}
        if not facts["hub"]["offline"] and facts["hub"]["last_contact_ago"] is not None:
            part["hub"]["last_contact_ago"] = 0.0  # not shown: the page need not change with it
        address = self.addresses()[0]
        return self.page("today.html", "today", lambda: {
            **part, **self.newest(newest_beside(day)), "day": day, "address": address,
            "qr": square(address)}, part, day, address)

    def newest(self, most: int | None = None) -> dict[str, Any]:
        """The newest lessons of each grade (`most` at most), in the usual order of subjects."""
        catalogue = self.state.catalogue()
        menu = catalogue.grades()
        most_grades = NEWEST_A_GRADE[-1][0]
        each = next((each for grades, each in NEWEST_A_GRADE if len(menu) <= grades), NEWEST_A_GRADE[-1][1])
        each = min(each, most or each)
        groups: list[dict[str, Any]] = []
        for grade in menu:
            newest = of_each_subject(catalogue.newest_packages(NEWEST_LOOKED_AT, grade=grade.name), each)
            if newest and len(groups) < most_grades:
                groups.append({"name": grade.name, "address": shown.address("/browse", grade=grade.name),
                               "lessons": [shown.lesson(package) for package in newest],
                               "more": grade.packages > len(newest)})
        return {"groups": groups, "grades": [
            {"name": grade.name, "address": shown.address("/browse", grade=grade.name)} for grade in menu]}

    def browse(self) -> Response:
        """Grade, then subject, then the lessons by edition and volume and unit, or those of one alone."""
        asked = request.args.get
        edition, volume = asked("edition"), asked("volume")
        book = None if edition is None or volume is None else (edition, volume)
        chosen = Chosen(asked("grade"), asked("subject"), book, asked("unit"))
        gettext = i18n.translations(g.language).gettext
        return self.page("browse.html", "browse", lambda: browsed(
            self.state.catalogue(), chosen, page_number(), gettext))

    def search(self) -> Response:
        """What is found by a word, one or two characters of it, or its pinyin initials."""
        q = " ".join(request.args.get("q", "").split())[:MOST_QUERY]
        wish = request.args.get("type")
        kind = wish if wish in shown.TYPE_ORDER else None
        results = self.state.search.results(q, type=kind, limit=RESULTS_A_PAGE,
                                            offset=(page_number() - 1) * RESULTS_A_PAGE) if q else None
        keys = results.keys if results else ()
        total, in_texts = (results.total, results.by_text) if results else (0, 0)

        def values() -> dict[str, Any]:
            rows = self.state.catalogue().several(keys)
            by_text = set(keys[len(keys) - in_texts:])
            count = shown.page_count(total, RESULTS_A_PAGE)
            return {"q": q, "total": total,
                    "results": [hit(row, q if (row.package, row.id) in by_text else None) for row in rows],
                    "filtered": kind is not None, "without_filter": shown.address("/search", q=q),
                    "filters": [{"type": one, "on": one == kind,
                                 "address": shown.address("/search", q=q, type=one)}
                                for one in (None, *self.types())],
                    "pages": shown.pages("/search", min(page_number(), count), count, q=q, type=kind)}
        return self.page("search.html", "search", values, q, kind, total, keys, in_texts)

    def suggest(self) -> Response:
        """What the words typed so far may mean: a few lessons, a few of what is in them, as links."""
        q = " ".join(request.args.get("q", "").split())[:MOST_QUERY]
        found = self.state.search.results(q, limit=SUGGESTED_FROM)

        def values() -> dict[str, Any]:
            rows = self.state.catalogue().several(found.keys)
            by_text = set(found.keys[len(found.keys) - found.by_text:])
            lessons = {row.package: row.parent for row in rows if (row.package, row.id) not in by_text}
            return {"lessons": [shown.lesson(one) for one in list(lessons.values())[:MOST_SUGGESTED_LESSONS]],
                    "results": [hit(row, q if (row.package, row.id) in by_text else None)
                                for row in rows[:MOST_SUGGESTED]]}
        return self.page("suggest.html", "search", values, found.keys, found.by_text)

    def types(self) -> list[str]:
        """The types of resources that are here at all."""
        there = self.state.catalogue().types()
        return [kind for kind in shown.TYPE_ORDER if kind in there]

    def lesson(self, package: str) -> Response:
        """All resources of a package, in order; those that are not whole yet as coming."""
        row = self.state.catalogue().package(package)
        if row is None:
            abort(404)
        page = min(page_number(), shown.page_count(row.resources, RESOURCES_A_PAGE))

        def values() -> dict[str, Any]:
            start = (page - 1) * RESOURCES_A_PAGE
            found = self.state.catalogue().resources(package=package, limit=RESOURCES_A_PAGE, offset=start)
            return {"lesson": shown.lesson(row), "trail": [*place_of(row), (row.name, None)],
                    "resources": [shown.item(resource) for resource in found.items],
                    "first_number": start + 1,
                    "pages": shown.pages(shown.package_address(package), page,
                                         shown.page_count(found.total, RESOURCES_A_PAGE))}
        return self.page("lesson.html", "browse", values)

    def resource(self, package: str, resource: str) -> AnyResponse:
        """One resource, shown as well as this browser can."""
        row = self.state.catalogue().resource(package, resource)
        if row is None:
            abort(404)
        wish = " ".join(request.args.get("find", "").split())[:MOST_QUERY]
        if wish:
            return self.at_page(row, wish)
        chapter = request.args.get("chapter", type=int)
        teachers = self.has_teachers()
        response = self.page("resource.html", "browse", lambda: {
            **self.resource_values(row, chapter), "collect": shown.address(
                "/collect", package=row.package, resource=row.id) if teachers else None}, teachers)
        turned = chapter is not None or page_number() > 1
        if row.complete and not turned and not looks_ahead(request):
            self.opened.add(package=row.package, version=row.parent.version, resource=row.id, name=row.name)
        return response

    def at_page(self, row: ResourceRow, wish: str) -> AnyResponse:
        """To the page or chapter of a document that has these words; to its beginning where none has."""
        page = self.state.search.page_of(row.text, wish) if row.text and row.complete else None
        to = page_url(row)
        if page is not None and row.type == "book":
            to = shown.address(to, chapter=page)
        elif page is not None and is_paper(row):
            to = f"{to}#page={page}"
        answer = redirect(to, 303)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def resource_values(self, row: ResourceRow, chapter: int | None) -> dict[str, Any]:
        """The values of the page of a resource."""
        catalogue = self.state.catalogue()
        before, after = catalogue.neighbours(row)
        around, first = self.around(row)
        return {**viewed(self.state, row, checked_host(request.headers.get("Host")), chapter, page_number()),
                "lesson": shown.lesson(row.parent), "first_number": first,
                "trail": [*place_of(row.parent), (row.parent.name, shown.package_address(row.package)),
                          (row.name, None)],
                "beside": [{**shown.item(other), "here": other.id == row.id} for other in around],
                "previous": shown.item(before) if before else None,
                "next": shown.item(after) if after else None}

    def around(self, row: ResourceRow) -> tuple[list[ResourceRow], int]:
        """The resources around one in its lesson, and the number of the first of them (1 for the first)."""
        catalogue = self.state.catalogue()
        if row.parent.resources <= BESIDE:
            return list(catalogue.resources(package=row.package, limit=BESIDE).items), 1
        chosen, before, after = [row], row, row
        back: ResourceRow | None = row
        forth: ResourceRow | None = row
        while len(chosen) < BESIDE and (back or forth):
            back = catalogue.neighbours(before)[0] if back else None
            if back:
                chosen.insert(0, back)
                before = back
            forth = catalogue.neighbours(after)[1] if forth and len(chosen) < BESIDE else None
            if forth:
                chosen.append(forth)
                after = forth
        return chosen, 1

    def status(self) -> Response:
        """How the box is doing, for whoever asks."""
        facts = {**self.box_facts(), "may_switch_off": self.may_switch_off()}
        return self.page("status.html", "status", facts, facts)

    def addresses(self) -> list[str]:
        """How other devices reach this box, the surest first."""
        return addresses_of(self.state.site, checked_host(request.headers.get("Host")), request.scheme,
                            self.state.clock.monotonic())

    def help(self) -> Response:
        """How other devices reach the box."""
        addresses = self.addresses()
        facts = self.facts.values(g.language)
        told = {"hub": {"name": facts["hub"]["name"]}, "clock_unsure": facts["clock_unsure"],
                "may_switch_off": self.may_switch_off()}
        return self.page("help.html", "help", lambda: {
            "addresses": addresses, "qr": square(addresses[0]), "qr_address": addresses[0], **told},
            addresses, told)

    def language(self, wish: str) -> AnyResponse:
        """Remember the language, and go back to the page one came from."""
        if wish not in i18n.LANGUAGES:
            abort(404)
        answer = redirect(local_address(request.args.get("next", "/")), 303)
        answer.set_cookie(LANGUAGE_COOKIE, wish, max_age=LANGUAGE_AGE_S, samesite="Lax", httponly=True,
                          secure=request.is_secure)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def error_page(self, template: str, values: dict[str, Any]) -> str:
        """The page of an error."""
        return pages.render(template, g.language, **{**self.common(), **values})

    def blueprint(self) -> Blueprint:
        """The addresses of the pages."""
        routes = Blueprint("pages", __name__)
        for address, view in (
                ("/", self.kept(self.today, self.day_age)), ("/browse", self.kept(self.browse, self.age)),
                ("/search", self.kept(self.search, self.age)),
                ("/suggest", self.kept(self.suggest, self.age)),
                ("/p/<package>", self.kept(self.lesson, self.age)),
                ("/r/<package>/<resource>", self.resource),
                ("/status", self.status), ("/help", self.help), ("/language/<wish>", self.language),
                ("/static/<path:name>", static_file), ("/favicon.ico", favicon)):
            routes.add_url_rule(address, view.__name__, view)
        return routes

    # -- pages that may be given again (edge.ready) -----------------------------------------------

    def kept(self, view: Callable[..., Response], age: Age) -> Callable[..., Response]:
        """`view`, whose page depends on its address, the host, the language and what has this age."""
        @wraps(view)
        def asked(**names: str) -> Response:
            then = age()
            response = view(**names)
            may_keep(request.environ, age, then)
            return response
        return asked

    def age(self) -> object:
        """The age of the catalogue and of the search index."""
        return self.state.catalogue().generation(), self.state.search.generation()

    def day_age(self) -> object:
        """The age of what the first page shows: also how the box is doing, and what was opened."""
        return self.age(), self.state.catalogue().last_record(), self.facts.age()


def create_app(state: EdgeState, *, ask_status: Callable[[], Status], journal: Callable[[], Append]) -> Flask:
    """The classroom's app: pages, and the addresses for programs. One for a process, for all its threads."""
    app = Flask("teachpoint", static_folder=None, template_folder=None)
    app.extensions[EXTENSION] = state
    classroom = Classroom(state, ask_status, journal)
    app.extensions["teachpoint-pages"] = classroom

    @app.before_request
    def choose_language() -> None:
        g.language = language_for(request.cookies, request.headers.get("Accept-Language"))

    protect(app, state)
    errors.register(app, lambda: str(g.get("language", i18n.DEFAULT)), classroom.error_page)
    app.register_blueprint(classroom.blueprint())
    return app


def language_for(cookies: Mapping[str, str], accept_language: str | None) -> str:
    """The language of the pages for who brings these."""
    return i18n.choose(cookies.get(LANGUAGE_COOKIE), accept_language)


def newest_beside(day: dict[str, Any] | None) -> int | None:
    """How many of each grade's newest lessons stand below a day at most; None: as many as without."""
    if day is None:
        return None
    entries = sum(len(period["entries"]) for period in (*day["periods"], *day["earlier"]))
    return next(each for most, each in NEWEST_BELOW_A_DAY if entries <= most)


def of_each_subject(newest: Sequence[PackageRow], most: int) -> list[PackageRow]:
    """The first `most`, taken from each subject in turn, so that one subject does not hide the others;
    in the order of the timetable."""
    by_subject: dict[str, list[PackageRow]] = {}
    for package in newest:
        by_subject.setdefault(package.subject, []).append(package)
    turns = zip_longest(*(by_subject[subject] for subject in sorted(by_subject, key=subject_key)))
    chosen = [package for turn in turns for package in turn if package][:most]
    return sorted(chosen, key=lambda package: subject_key(package.subject))


def hit(row: ResourceRow, words: str | None) -> dict[str, Any]:
    """A resource as a result; `words` that stand in its text: it opens at the page that has them."""
    item = shown.item(row)
    if words and row.complete and row.type in ("document", "book"):
        item["address"] = shown.address(item["address"], find=words)
    return item


def place_of(package: PackageRow) -> list[tuple[str, str | None]]:
    """The links above a lesson: its grade, its subject."""
    trail: list[tuple[str, str | None]] = []
    if package.grade:
        trail.append((package.grade, shown.address("/browse", grade=package.grade)))
    if package.subject:
        trail.append((package.subject,
                      shown.address("/browse", grade=package.grade, subject=package.subject)))
    return trail


def page_number() -> int:
    """The page of a list that was asked for, from 1."""
    number = request.args.get("page", 1, type=int)
    return min(max(number, 1), 1_000_000)


def local_address(wish: str) -> str:
    """`wish`, if it is a page of this box; else the first page. Nothing here leads elsewhere."""
    local = (wish.startswith("/") and not wish.startswith(("//", "/language/")) and "\\" not in wish
             and wish.isprintable() and len(wish) < 2000)
    return wish if local else "/"


def static_file(name: str) -> Response:
    """A style, a script, a picture of the pages."""
    response = send_from_directory(pages.STATIC, name, max_age=STATIC_AGE_S)
    # A worker obeys the policy of its own answer, not that of the page: this one may load from here only,
    # and make no code of what it reads.
    response.headers["Content-Security-Policy"] = STATIC_POLICY
    if "v" in request.args:
        response.headers["Cache-Control"] = f"public, max-age={STATIC_AGE_S}, immutable"
    else:
        response.headers["Cache-Control"] = "no-cache"
    return response


def favicon() -> Response:
    """What browsers ask for unasked."""
    return send_from_directory(pages.STATIC, "icon.png", max_age=STATIC_AGE_S)
