"""What a campaign file changes, against the one that was loaded before it."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, select

from shared.adapters.sql.bulk import Row
from shared.adapters.sql.tables import audit, campaign_versions


def what_changed(
    connection: Connection, documents: dict[tuple[str, str], str], rails: str
) -> Row | None:
    """Return what differs from the file that was loaded last; ``None`` where nothing does."""
    query = select(audit.c.detail).where(audit.c.action == "load").order_by(audit.c.seq.desc())
    last = connection.execute(query.limit(1)).scalar()
    before: Row = {"versions": {}, "guard_rails": {}} if last is None else msgspec.json.decode(last)
    versions, now = dict(documents.keys()), msgspec.json.decode(rails)
    if last is not None and before["versions"] == versions and before["guard_rails"] == now:
        return None
    was = {name: _document(connection, name, each) for name, each in before["versions"].items()}
    current = {name: msgspec.json.decode(text) for (name, _), text in documents.items()}
    changed: Row = {
        name: _differences(was.get(name), current.get(name))
        for name in sorted(was.keys() | current.keys())
        if before["versions"].get(name) != versions.get(name)
    }
    if last is not None and before["guard_rails"] != now:
        changed["guard_rails"] = _differences(before["guard_rails"], now)
    return {"versions": versions, "guard_rails": now, "changed": changed}


def _document(connection: Connection, name: str, version: str) -> Row:
    c = campaign_versions.c
    query = select(c.document).where(c.campaign == name, c.version == version)
    document: Row = msgspec.json.decode(connection.execute(query).scalar_one())
    return document


def _differences(before: Row | None, now: Row | None) -> Any:  # noqa: ANN401
    """Return, by field, what it was and what it is."""
    if before is None or now is None:
        return "added" if before is None else "taken out"
    names = sorted(name for name in before.keys() | now.keys() if name != "version")
    return {
        name: [before.get(name), now.get(name)]
        for name in names
        if before.get(name) != now.get(name)
    }
