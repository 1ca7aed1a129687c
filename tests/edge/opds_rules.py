"""The rules of OPDS 2.0 that a feed must keep, written from the draft (drafts.opds.io/opds-2.0) and its
schemas (feed, publication, link, feed-metadata), and from the Readium Web Publication Manifest.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

FEED = "application/opds+json"
ACQUISITION = re.compile(r"http://opds-spec\.org/acquisition(/(buy|open-access|borrow|sample|subscribe))?|preview")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
PICTURES = {"image/jpeg", "image/png", "image/gif"}
LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


def rels(link: dict[str, Any]) -> list[str]:
    rel = link.get("rel", [])
    return [rel] if isinstance(rel, str) else list(rel)


def check_link(link: dict[str, Any]) -> None:
    """A Link Object: an address (or template), and what is said of it has the right type."""
    assert isinstance(link["href"], str) and link["href"]
    if link.get("templated"):
        assert re.search(r"\{[^}]+\}", link["href"])
    else:
        assert not re.search(r"[{}\s]", link["href"]), link["href"]
        assert urlsplit(link["href"]).scheme in ("http", "https"), link["href"]
        assert link["href"].isascii(), link["href"]
    if "type" in link:
        assert re.fullmatch(r"[\w.+-]+/[\w.+-]+(;.*)?", link["type"]), link["type"]
    if "title" in link:
        assert isinstance(link["title"], str)
    for name in ("height", "width"):
        assert isinstance(link.get(name, 1), int) and link.get(name, 1) > 0


def check_feed_metadata(metadata: dict[str, Any]) -> None:
    assert metadata["title"] and isinstance(metadata["title"], str)
    assert metadata.get("numberOfItems", 0) >= 0
    assert metadata.get("itemsPerPage", 1) > 0
    assert metadata.get("currentPage", 1) > 0
    if "modified" in metadata:
        assert RFC3339.fullmatch(metadata["modified"])


def check_publication(publication: dict[str, Any]) -> None:
    metadata = publication["metadata"]
    assert metadata["title"] and isinstance(metadata["title"], str)
    assert metadata.get("@type", "http://schema.org/Book").startswith("http://schema.org/")
    assert re.match(r"[a-z][a-z0-9+.-]*:", metadata.get("identifier", "urn:x"))
    if "modified" in metadata:
        assert RFC3339.fullmatch(metadata["modified"])
    if "language" in metadata:
        assert LANGUAGE_TAG.fullmatch(metadata["language"])
    for name in ("numberOfPages", "duration"):
        assert metadata.get(name, 1) > 0
    for subject in metadata.get("subject", []):
        assert isinstance(subject, str) or subject["name"]
    for collection in metadata.get("belongsTo", {}).values():
        assert isinstance(collection, str) or collection["name"]
    for link in publication["links"]:
        check_link(link)
    found = [rel for link in publication["links"] for rel in rels(link)]
    assert found.count("self") == 1
    assert any(ACQUISITION.fullmatch(rel) for rel in found)
    assert all("type" in link for link in publication["links"] if any(map(ACQUISITION.fullmatch, rels(link))))
    assert publication["images"]
    for image in publication["images"]:
        check_link(image)
    assert any(image.get("type") in PICTURES for image in publication["images"])


def check_navigation(navigation: list[dict[str, Any]]) -> None:
    assert navigation
    for link in navigation:
        check_link(link)
        assert link["title"]
        assert link.get("type") in (FEED, "text/html")


def check_feed(feed: dict[str, Any]) -> None:
    """Hold a whole feed to the rules."""
    check_feed_metadata(feed["metadata"])
    assert {"navigation", "publications", "groups"} & feed.keys()
    for link in feed["links"]:
        check_link(link)
    found = [rel for link in feed["links"] for rel in rels(link)]
    assert found.count("self") == 1
    searches = [link for link in feed["links"] if "search" in rels(link)]
    for link in searches:
        assert link["templated"] is True and link["type"] == FEED and "query" in link["href"]
    if "navigation" in feed:
        check_navigation(feed["navigation"])
    for publication in feed.get("publications", []):
        check_publication(publication)
    for group in feed.get("groups", []):
        check_feed_metadata(group["metadata"])
        assert ("navigation" in group) != ("publications" in group)
        if "navigation" in group:
            check_navigation(group["navigation"])
        for publication in group.get("publications", []):
            check_publication(publication)
    for facet in feed.get("facets", []):
        check_feed_metadata(facet["metadata"])
        assert facet["links"]
        for link in facet["links"]:
            check_link(link)
            assert link["title"]
    if "currentPage" in feed["metadata"]:
        check_pages(feed, found)


def check_pages(feed: dict[str, Any], found: list[str]) -> None:
    """`next` and `previous` are there exactly where there is something to go to."""
    metadata = feed["metadata"]
    pages = max(1, -(-metadata["numberOfItems"] // metadata["itemsPerPage"]))
    assert ("next" in found) == (metadata["currentPage"] < pages)
    assert ("previous" in found) == (metadata["currentPage"] > 1)
    assert "first" in found and "last" in found
    assert len(feed["publications"]) <= metadata["itemsPerPage"]
