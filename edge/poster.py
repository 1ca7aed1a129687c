"""The poster for the wall: how to reach the box, readable from two metres, as a page of paper.

The name and password of the room's Wi-Fi are typed in by who prints it; they stand in the address of the page
and nowhere else: nothing here is kept.
"""

from __future__ import annotations

import re

from flask import Blueprint, Response, request

from edge.help_page import square
from edge.web import Classroom
from sync.text import one_line

#: Most characters of a Wi-Fi's name and password (IEEE 802.11: 32 bytes; WPA: 63).
MOST_NAME, MOST_PASSWORD = 32, 63


def blueprint(classroom: Classroom) -> Blueprint:
    """The address of the poster."""
    routes = Blueprint("poster", __name__)

    @routes.get("/poster")
    def poster() -> Response:
        wifi = _typed("wifi", MOST_NAME)
        password = _typed("password", MOST_PASSWORD) if wifi else ""
        addresses = classroom.addresses()
        numbered, named = addresses[0], next((one for one in addresses if ".local" in one), "")
        return classroom.page("poster.html", "help", lambda: {
            "wifi": wifi, "password": password, "address": numbered,
            "name_address": named if named != numbered else "", "qr": square(numbered),
            "join": square(joining(wifi, password), "Wi-Fi") if wifi else None}, numbered, named)
    return routes


def joining(name: str, password: str) -> str:
    """What a phone's camera takes as "join this Wi-Fi"; an empty password: an open one.

    Source: the WIFI: scheme that Android and iOS read (ZXing, "Barcode Contents").
    """
    kind = "WPA" if password else "nopass"
    secret = f"P:{_quoted(password)};" if password else ""
    return f"WIFI:T:{kind};S:{_quoted(name)};{secret};"


def _quoted(text: str) -> str:
    return re.sub(r'([\\;,:"])', r"\\\1", text)


def _typed(name: str, most: int) -> str:
    return one_line(request.args.get(name, ""), most)
