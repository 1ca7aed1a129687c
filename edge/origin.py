"""Who is asked, and what a page may load: the Host header and the security headers of every answer.

Nothing of a request is trusted to say where the box is. The Host header is used for one thing only,
to name the content origin (the same host, another port), and only after it has been held to the
shape of a host name; a request with another shape is refused.
"""

from __future__ import annotations

import re

from flask import Flask, Request, Response, g, request
from werkzeug.exceptions import BadRequest

from edge.state import EdgeState

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(
    rf"(?P<name>{_LABEL}(?:\.{_LABEL}){{0,20}}\.?|\[[0-9A-Fa-f:.]{{2,45}}\])(?::(?P<port>\d{{1,5}}))?")

#: Longest Host header taken, in characters: a DNS name (253) and a port.
MOST_HOST = 260

#: Where a browser says that it only looks ahead, and nobody has opened anything.
_AHEAD = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")


def checked_host(given: str | None) -> str:
    """The Host header `given`, if it has the shape of `name[:port]`. Raises BadRequest (400).

    HTTP/1.0 may leave it out: then `localhost`, which names nobody else's machine.
    """
    if not given:
        return "localhost"
    match = _HOST.fullmatch(given) if len(given) <= MOST_HOST else None
    if not match or (match["port"] and not 0 < int(match["port"]) < 65536):
        raise BadRequest("host")
    return given


def framed_by_pages(host: str) -> str:
    """Sources for `frame-ancestors`: pages of the same host, whatever their port."""
    match = _HOST.fullmatch(host)
    name = policy_source(match["name"]) if match else "localhost"
    return "*" if name == "*" else f"http://{name}:* https://{name}:*"


def looks_ahead(asked: Request) -> bool:
    """Is this a prefetch, or a HEAD: a question that opens nothing?"""
    return asked.method == "HEAD" or any(
        word in asked.headers.get(name, "").lower() for name in _AHEAD for word in ("prefetch", "prerender",
                                                                                   "preview"))


def same_origin(asked: Request) -> bool:
    """Does a form come from one of our own pages, as far as the browser says? Old ones say nothing."""
    site = asked.headers.get("Sec-Fetch-Site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = asked.headers.get("Origin")
    if origin is None:
        return True
    # Behind a TLS proxy the scheme may differ; host and port decide.
    return re.sub(r"^https?://", "", origin) == asked.headers.get("Host", "")


def policy_source(origin: str) -> str:
    """An origin as a source in a policy; the grammar has no IPv6 addresses, so there the port decides."""
    return re.sub(r"\[[^\]]*\]", "*", origin)


def page_policy(content: str) -> str:
    """The Content-Security-Policy of a page. `content` is the content origin, or "" for none."""
    also = f" {policy_source(content)}" if content else ""
    return "; ".join((
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'",
        f"img-src 'self'{also}", f"media-src 'self'{also}", f"frame-src 'self'{also}",
        f"child-src 'self'{also}", "object-src 'self'", "form-action 'self'", "base-uri 'none'",
        "frame-ancestors 'none'"))


def protect(app: Flask, state: EdgeState) -> None:
    """Check the host of each request, and put the security headers on each answer of `app`."""

    @app.before_request
    def check_host() -> None:
        g.content_origin = ""
        g.content_origin = state.content.url(checked_host(request.headers.get("Host")))

    @app.after_request
    def headers(response: Response) -> Response:
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "same-origin")
        if response.mimetype == "text/html":
            response.headers.setdefault("Content-Security-Policy", page_policy(g.get("content_origin", "")))
            response.headers.setdefault("X-Frame-Options", "DENY")
        else:  # shown inside our pages (a PDF), never inside somebody else's
            response.headers.setdefault("Content-Security-Policy", "frame-ancestors 'self'")
        return response
