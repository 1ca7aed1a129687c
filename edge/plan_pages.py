"""`/plan/<id>`: a lesson plan, for the class and for paper; `/plan/<id>/edit`, `/collect` for its teacher."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask, Response, abort, request
from sqlite_utils import Database
from werkzeug.wrappers import Response as AnyResponse

from edge import shown
from edge.catalogue import ResourceRow
from edge.forms import form_page, must_be_ours, see_other
from edge.help_page import square
from edge.plans import Plan, Plans
from edge.sign_in import SignIn
from edge.state import page_url
from edge.web import Classroom
from sync.box.teachers import Teacher
from sync.errors import TeachpointError


def register(app: Flask, classroom: Classroom, secret: bytes, database: Callable[[], Database],
             sign_in: SignIn) -> None:
    """Add the pages to the classroom's app. `database` opens box.db for the calling thread."""
    app.register_blueprint(_Pages(classroom, secret, database, sign_in).blueprint())


class _Pages:
    def __init__(self, classroom: Classroom, secret: bytes, database: Callable[[], Database],
                 sign_in: SignIn) -> None:
        self.classroom, self.secret, self.database, self.sign_in = classroom, secret, database, sign_in

    def blueprint(self) -> Blueprint:
        routes = Blueprint("plans", __name__)
        for address, act, method in (
                ("/plan/<id_>", self.show, "GET"), ("/plan/<id_>/edit", self.edit, "GET"),
                ("/plan/<id_>/edit", self.change, "POST"), ("/collect", self.choose, "GET"),
                ("/collect", self.collect, "POST"), ("/plans", self.make, "POST")):
            routes.add_url_rule(address, act.__name__, act, methods=[method])
        return routes

    def plans(self) -> Plans:
        """The plans, for this thread."""
        return Plans(self.database(), self.classroom.state.clock)

    def found(self, id_: str) -> Plan:
        """The plan of this address; 404 where there is none."""
        plan = self.plans().find(id_)
        if plan is None:
            abort(404)
        return plan

    # -- for everybody ------------------------------------------------------------------------------

    def show(self, id_: str) -> Response:
        """The plan: what is in it opens, here or on a screen of the room. Printed it is a page of paper."""
        plan, teacher = self.found(id_), self.sign_in.teacher()
        mine = teacher is not None and teacher.id == plan.teacher
        address = f"{self.classroom.addresses()[0]}plan/{plan.id}"
        return self.classroom.page("plan.html", "", lambda: {
            "plan": {"id": plan.id, "name": plan.name, "note": plan.note}, "mine": mine,
            "entries": self.entries(plan), "qr": square(address), "qr_address": address}, plan, mine, address)

    def entries(self, plan: Plan) -> list[dict[str, Any]]:
        """What is in a plan; `item` is None for what is no longer here."""
        rows = self.classroom.state.catalogue().several([(one.package, one.resource) for one in plan.entries])
        items = {(row.package, row.id): shown.item(row) for row in rows}
        return [{"key": one.key, "name": one.name, "note": one.note,
                 "item": items.get((one.package, one.resource))} for one in plan.entries]

    # -- for its teacher ----------------------------------------------------------------------------

    def edit(self, id_: str) -> Response:
        """Name, notes, order."""
        plan, teacher = self.found(id_), self.sign_in.teacher()
        if teacher is None:
            return self.sign_in.ask(request.path)
        return self.edit_page(self.own(plan, teacher))

    def change(self, id_: str) -> AnyResponse:
        """Take over what was filled in; and move, take out, delete what was asked for."""
        plan, teacher = self.found(id_), self.our_form()
        if teacher is None:
            return self.sign_in.ask(request.path, {**request.form, "keys": " / ".join(self.keys())})
        self.own(plan, teacher)
        plans, form = self.plans(), request.form
        if "delete" in form:
            plans.remove(plan)
            return see_other("/teacher")
        try:
            plans.change(plan, form, self.keys())
        except TeachpointError as error:
            return self.edit_page(plan, error)
        for name, by in (("up", -1), ("down", 1)):
            if name in form:
                plans.move(plan, form[name], by)
        if "out" in form:
            plans.take_out(plan, form["out"])
        return see_other(f"/plan/{plan.id}" if "done" in form else f"/plan/{plan.id}/edit")

    def keys(self) -> list[str]:
        """The entries that the form names, in its order; `keys`: those of a form kept while one signed in."""
        kept = request.form.get("keys", "")
        return kept.split(" / ") if kept else request.form.getlist("key")

    def edit_page(self, plan: Plan, error: TeachpointError | None = None) -> Response:
        """The page on which a plan is changed."""
        return form_page("plan_edit.html", self.secret, {
            **self.classroom.common(), "plan": {"id": plan.id, "name": plan.name, "note": plan.note},
            "entries": self.entries(plan)}, error)

    def make(self) -> AnyResponse:
        """A new plan."""
        teacher = self.our_form()
        if teacher is None:
            return self.sign_in.ask("/plans", request.form.to_dict())
        try:
            return see_other(f"/plan/{self.plans().make(teacher.id, request.form.get('name', ''))}/edit")
        except TeachpointError as error:
            return self.sign_in.own_page(teacher, error)

    def choose(self) -> Response:
        """Into which plan shall this resource go?"""
        row, teacher = self.resource(request.args.get("package", ""), request.args.get("resource", "")), \
            self.sign_in.teacher()
        return self.sign_in.ask(request.full_path) if teacher is None else self.choice(row, teacher)

    def collect(self) -> AnyResponse:
        """Put it there."""
        form, teacher = request.form, self.our_form()
        row = self.resource(form.get("package", ""), form.get("resource", ""))
        if teacher is None:
            return self.sign_in.ask("/collect", form.to_dict())
        plans, wish = self.plans(), form.get("plan", "")
        try:
            id_ = wish if wish != "new" else plans.make(teacher.id, form.get("name", ""))
            plans.add(self.own(self.found(id_), teacher), row, form.get("note", ""))
        except TeachpointError as error:
            return self.choice(row, teacher, error)
        return see_other(f"/plan/{id_}")

    def choice(self, row: ResourceRow, teacher: Teacher, error: TeachpointError | None = None) -> Response:
        """The page on which a plan is chosen."""
        plans = self.plans().of(teacher.id)
        return form_page("collect.html", self.secret, {
            **self.classroom.common(), "item": shown.item(row),
            "package": row.package, "resource": row.id, "plans": plans, "back": page_url(row), "chosen":
                request.form.get("plan") or (plans[0]["id"] if plans else "new"),
            "name_typed": request.form.get("name", ""), "note": request.form.get("note", "")}, error)

    # -- who may ------------------------------------------------------------------------------------

    def our_form(self) -> Teacher | None:
        """Who sent the form; None: somebody who must sign in first."""
        must_be_ours(self.secret)
        return self.sign_in.teacher()

    def own(self, plan: Plan, teacher: Teacher) -> Plan:
        """The plan, if it is this teacher's; another's looks like none."""
        if plan.teacher != teacher.id:
            abort(404)
        return plan

    def resource(self, package: str, resource: str) -> ResourceRow:
        """The resource; 404 where there is none."""
        row = self.classroom.state.catalogue().resource(package, resource)
        if row is None:
            abort(404)
        return row
