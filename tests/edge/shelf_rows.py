"""Rows of box.db for tests: packages and resources with every field at a sensible value."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from sync.box.schema import MIGRATIONS
from sync.database import open_database, transaction


def name_of(text: str) -> str:
    """A SHA-256, made from any text."""
    return hashlib.sha256(text.encode()).hexdigest()


def resource_id(package: str, name: str) -> str:
    """As the hub makes it (docs/format.md §3.1)."""
    return name_of(f"{package}\n{name}")[:16]


def make_database(folder: Path) -> Database:
    """An empty box.db in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    return open_database(folder / "box.db", MIGRATIONS)


def bump(database: Database) -> None:
    """As each visible change does."""
    with transaction(database):
        database.execute("INSERT INTO setting VALUES ('generation', '1') ON CONFLICT (name) DO UPDATE"
                         " SET value = CAST(value AS INTEGER) + 1")


def add_package(database: Database, id: str, name: str, resources: list[dict[str, Any]],
                **fields: Any) -> None:
    """One package with its resources; each resource is given by the fields that matter."""
    package = {
        "id": id, "version": 1, "manifest": name_of(id), "name": name, "inLanguage": "zh-CN",
        "educationalLevel": "", "about": "", "learningResourceType": "", "isPartOf": "", "edition": "",
        "volume": "", "position": 0, "creator": "", "license": "", "description": "", "priority": 5,
        "complete": int(all(r.get("complete", 1) for r in resources)), "arrived": 1_700_000_000.0, **fields}
    with transaction(database):
        database.table("package").insert(package)
        for place, given in enumerate(resources, 1):
            rid = given.get("id") or resource_id(id, given["name"])
            entry = given.get("entry") or f"{given['name']}.pdf".replace("/", "_")
            complete = given.get("complete", 1)
            files = given.get("files") or [{"path": entry, "sha256": name_of(id + entry),
                                            "size": given.get("size", 1000)}]
            row = {"package": id, "id": rid, "type": "document", "mediaType": "application/pdf",
                   "entry": entry, "size": sum(f["size"] for f in files), "sha256": files[0]["sha256"],
                   "thumbnail": None, "text": None, "timeRequired": "", "pages": 0, "position": place,
                   "complete": complete, "arrived": 1_700_000_000.0 + place if complete else None,
                   **{k: v for k, v in given.items() if k not in ("files", "id")}}
            if row["type"] == "bundle":
                row["sha256"] = None
            database.table("resource").insert(row)
            database.table("file").insert_all({"package": id, "resource": rid, **file} for file in files)
    bump(database)
