"""What people decide about campaigns, in the database, with a log of each change beside it.

A change and its entry are one transaction, and one such transaction follows the other, so the
number of the last entry tells whether anything changed: campaigners look at that with each batch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Engine, delete, func, insert, select

from shared.adapters.sql.bulk import Row, upsert_rows
from shared.adapters.sql.engine import alone, reading
from shared.adapters.sql.tables import approvals, audit, campaign_versions, holds, suppressions
from shared.adapters.sql.version_changes import what_changed
from shared.domain.controls import Controls, Hold
from shared.domain.errors import TenureError
from shared.domain.identity import hash64

_CHUNK: Final = 500  # values in one IN list


class RefusedError(TenureError):
    """The change is not allowed; the message says why, and what is."""


class Change(Struct, frozen=True):
    """An entry of the audit log: who did what to what, when (epoch ms)."""

    seq: int
    at: int
    by: str
    action: str
    subject: str
    detail: dict[str, Any]


class Suppressed(Struct, frozen=True):
    """A customer on the suppression list: by whom, since when (epoch ms), why."""

    customer: str
    by: str
    at: int
    reason: str


class ControlStore:
    """Changes, and reads, what people decide.

    Parameters
    ----------
    engine
        An open database.
    clock
        The wall clock, epoch milliseconds.

    """

    def __init__(self, engine: Engine, clock: Callable[[], int]) -> None:
        self._engine = engine
        self._clock = clock
        self._read: tuple[int, Controls] | None = None

    def controls(self) -> Controls:
        """Return what holds now; any thread may ask."""
        with reading(self._engine) as connection:
            last = connection.execute(select(func.max(audit.c.seq))).scalar() or 0
            read = self._read
            if read is None or read[0] != last:
                read = self._read = last, _controls(connection)
        return read[1]

    def hold(self, campaign: str, by: str, reason: str) -> None:
        """Stop a campaign, or all (`ALL`), until it is resumed."""
        row = {"campaign": campaign, "by": by, "at": self._clock(), "reason": reason}
        with self._changing() as connection:
            upsert_rows(connection, holds, [row])
            self._log(connection, by, "pause", campaign, {"reason": reason})

    def resume(self, campaign: str, by: str, reason: str) -> None:
        """Let a campaign, or all, go on; raises a `RefusedError` when nothing is stopped."""
        with self._changing() as connection:
            gone = connection.execute(delete(holds).where(holds.c.campaign == campaign))
            if gone.rowcount == 0:
                raise RefusedError("Nothing to resume: it is not paused by a person.")
            self._log(connection, by, "resume", campaign, {"reason": reason})

    def approve(self, campaign: str, version: str, by: str) -> None:
        """Approve a version of a campaign; raises a `RefusedError` to its own author."""
        c = campaign_versions.c
        wrote = select(c.author).where(c.campaign == campaign, c.version == version)
        row = {"campaign": campaign, "version": version, "by": by, "at": self._clock()}
        with self._changing() as connection:
            if connection.execute(wrote).scalar() == by:
                raise RefusedError(
                    f"{by} wrote version {version} of {campaign}: another person approves it."
                )
            upsert_rows(connection, approvals, [row], replace=False)
            self._log(connection, by, "approve", campaign, {"version": version})

    def suppress(self, customers: Collection[str], by: str, reason: str) -> int:
        """Put customers on the suppression list; return how many were not on it."""
        fresh = {"by": by, "at": self._clock(), "reason": reason}
        with self._changing() as connection:
            new = sorted(set(customers) - _listed(connection, customers))
            rows = [{"customer": each, **fresh} for each in new]
            upsert_rows(connection, suppressions, rows, replace=False)
            self._log_customers(connection, by, "suppress", new, reason)
        return len(new)

    def unsuppress(self, customers: Collection[str], by: str, reason: str) -> int:
        """Take customers off the suppression list; return how many were on it."""
        with self._changing() as connection:
            gone = sorted(_listed(connection, customers))
            for some in _chunks(gone):
                connection.execute(delete(suppressions).where(suppressions.c.customer.in_(some)))
            self._log_customers(connection, by, "unsuppress", gone, reason)
        return len(gone)

    def note_erasure(self, names: list[str], by: str, reason: str) -> None:
        """Note who asked that customers be erased; ``names`` are such as only we can tell."""
        with self._changing() as connection:
            detail = {"reason": reason, "customers": names}
            self._log(connection, by, "erase", f"{len(names)} customers", detail)

    def suppressed(self, after: str = "", limit: int = 1_000) -> list[Suppressed]:
        """Return the suppression list in the order of its customers, from behind one of them."""
        c = suppressions.c
        query = select(c.customer, c.by, c.at, c.reason).where(c.customer > after)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(c.customer).limit(limit))
            return [Suppressed(*row) for row in rows]

    def changes(self, before: int | None = None, limit: int = 100) -> list[Change]:
        """Return the audit log, the newest first, from before an entry on."""
        columns = [audit.c[each] for each in Change.__struct_fields__]
        query = select(*columns).order_by(audit.c.seq.desc()).limit(limit)
        if before is not None:
            query = query.where(audit.c.seq < before)
        with reading(self._engine) as connection:
            rows = connection.execute(query).mappings().all()
        return [Change(**{**row, "detail": msgspec.json.decode(row["detail"])}) for row in rows]

    def note(self, by: str, action: str, subject: str, detail: dict[str, Any]) -> None:
        """Log what somebody does that is kept elsewhere; without any customer's id."""
        with self._changing() as connection:
            self._log(connection, by, action, subject, detail)

    def keep_versions(
        self, documents: dict[tuple[str, str], str], rails: str, author: str | None
    ) -> None:
        """Remember what a campaign file says: versions by (name, version), and what is new.

        Parameters
        ----------
        documents
            Of each campaign, JSON.
        rails
            The guard rails, JSON.
        author
            Who wrote the file, if it says.

        """
        now = self._clock()
        rows = [
            {
                "campaign": name,
                "version": version,
                "document": document,
                "loaded_at": now,
                "author": author,
            }
            for (name, version), document in documents.items()
        ]
        with self._changing() as connection:
            upsert_rows(connection, campaign_versions, rows, replace=False)
            changed = what_changed(connection, documents, rails)
            if changed is not None:
                self._log(connection, author or "file", "load", "campaigns", changed)

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            alone(connection, "controls")  # so that entries appear in the order of their numbers
            yield connection

    def _log_customers(
        self, connection: Connection, by: str, action: str, customers: list[str], reason: str
    ) -> None:
        # By hash: a log that nothing leaves must not keep the ids of those who were erased.
        if customers:
            hashes = [f"{hash64(each):016x}" for each in customers]
            detail = {"reason": reason, "customers": hashes}
            self._log(connection, by, action, f"{len(customers)} customers", detail)

    def _log(self, connection: Connection, by: str, action: str, subject: str, detail: Row) -> None:
        text = msgspec.json.encode(detail).decode()
        entry = {"at": self._clock(), "by": by, "action": action, "subject": subject}
        connection.execute(insert(audit).values(**entry, detail=text))


def _controls(connection: Connection) -> Controls:
    held = connection.execute(select(holds.c.campaign, holds.c.by, holds.c.at, holds.c.reason))
    versions = connection.execute(select(approvals.c.campaign, approvals.c.version))
    listed = connection.execute(select(suppressions.c.customer))
    return Controls(
        holds={row.campaign: Hold(*row[1:]) for row in held},
        approved=frozenset((row.campaign, row.version) for row in versions),
        suppressed=frozenset(row.customer for row in listed),
    )


def _listed(connection: Connection, customers: Collection[str]) -> set[str]:
    found: set[str] = set()
    for some in _chunks(sorted(set(customers))):
        query = select(suppressions.c.customer).where(suppressions.c.customer.in_(some))
        found |= set(connection.execute(query).scalars())
    return found


def _chunks(values: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]
