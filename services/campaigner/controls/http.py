"""What people change over HTTP: stop and go, approvals, the suppression list; and the log of it.

Operators stop campaigns, resume one, and suppress customers. Only admins undo what protects
everybody: they resume all campaigns, approve versions, and take customers off the list. And only
they erase customers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

import msgspec
from fastapi import Body, Depends, FastAPI, Header, Query, Request, Response
from pydantic import Field

from services.campaigner.campaign_file import CampaignBook
from services.campaigner.controls import approval
from services.campaigner.controls.erasure import Eraser, NotToldError
from services.campaigner.http import CampaignName, Limit, documented
from services.campaigner.views import AuditPage, Done, SuppressionPage
from shared.adapters.access import authorized
from shared.adapters.api_keys import Caller, Doorkeeper, Permission
from shared.adapters.http import ProblemError
from shared.adapters.sql.control_store import ControlStore, RefusedError
from shared.domain.controls import ALL

_MOST: Final = 10_000
_CustomerId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00]+$")]

Reason = Annotated[str, Body(embed=True, max_length=500, description="For readers of the log")]
Customers = Annotated[list[_CustomerId], Body(embed=True, min_length=1, max_length=_MOST)]
Version = Annotated[str, Body(embed=True, description="The one that was read, and is approved")]
Before = Annotated[int | None, Query(description="`next` of the page before")]
Behind = Annotated[str, Query(description="`next` of the page before")]


class ControlApi:
    """The operations. They run in threads, since they wait for the database.

    Parameters
    ----------
    store
        The database.
    book
        Returns the campaigns in force.
    knows
        Tells whether an API key has a name.
    eraser
        Erases customers; without one nobody can be erased.

    """

    def __init__(
        self,
        store: ControlStore,
        book: Callable[[], CampaignBook],
        knows: Callable[[str], bool] = lambda _: True,
        *,
        eraser: Eraser | None = None,
    ) -> None:
        self._eraser = eraser
        self._store = store
        self._book = book
        self._knows = knows

    def pause_all(self, request: Request, reason: Reason = "") -> Response:
        """Stop all campaigns: nothing fires, and what waits for Kafka stays until it expires."""
        self._store.hold(ALL, _caller(request).name, reason)
        return _done(1)

    def resume_all(self, request: Request, reason: Reason = "") -> Response:
        """Let all campaigns go on, but those that are paused themselves."""
        return self._resume(ALL, request, reason)

    def pause(self, request: Request, campaign: CampaignName, reason: Reason = "") -> Response:
        """Stop a campaign: nothing fires, and what waits for Kafka stays until it expires."""
        self._version(campaign)
        self._store.hold(campaign, _caller(request).name, reason)
        return _done(1)

    def resume(self, request: Request, campaign: CampaignName, reason: Reason = "") -> Response:
        """Let a campaign go on."""
        return self._resume(campaign, request, reason)

    def approve(self, request: Request, campaign: CampaignName, version: Version) -> Response:
        """Approve the version of a campaign that is in force; not for its author."""
        self._version(campaign)
        try:
            approval.approve(
                self._store,
                self._book(),
                self._knows,
                campaign=campaign,
                version=version,
                caller=_caller(request),
            )
        except approval.OutdatedError as error:
            raise ProblemError(409, str(error)) from None
        except RefusedError as error:
            raise ProblemError(403, str(error)) from None
        return _done(1)

    def suppressions(self, limit: Limit = 1_000, after: Behind = "") -> Response:
        """Return the suppression list, in the order of its customers."""
        found = self._store.suppressed(after, limit)
        following = found[-1].customer if len(found) == limit else None
        return _json(SuppressionPage(found, following))

    def suppress(self, request: Request, customers: Customers, reason: Reason = "") -> Response:
        """Put customers on the suppression list: no campaign contacts them."""
        return _done(self._store.suppress(customers, _caller(request).name, reason))

    def unsuppress(self, request: Request, customers: Customers, reason: Reason = "") -> Response:
        """Take customers off the suppression list."""
        return _done(self._store.unsuppress(customers, _caller(request).name, reason))

    def erase(self, request: Request, customers: Customers, reason: Reason = "") -> Response:
        """Erase customers for good: their ids are unknown from here on, whatever still comes."""
        if self._eraser is None:
            raise ProblemError(503, "This campaigner is not connected to Kafka.")
        try:
            self._eraser.erase(customers, _caller(request).name, reason)
        except NotToldError as error:
            raise ProblemError(503, str(error), headers={"Retry-After": "5"}) from None
        return _done(len(set(customers)))

    def audit(self, limit: Limit = 100, before: Before = None) -> Response:
        """Return who changed what, and when; the newest first."""
        found = self._store.changes(before, limit)
        following = found[-1].seq if len(found) == limit else None
        return _json(AuditPage(found, following))

    def _resume(self, campaign: str, request: Request, reason: str) -> Response:
        try:
            self._store.resume(campaign, _caller(request).name, reason)
        except RefusedError as error:
            raise ProblemError(409, str(error)) from None
        return _done(1)

    def _version(self, campaign: str) -> str:
        for each in self._book().campaigns:
            if each.name == campaign:
                return each.version
        raise ProblemError(404, "No such campaign in force. GET /v1/campaigns lists them.")


def add_controls(app: FastAPI, api: ControlApi, doorkeeper: Doorkeeper) -> None:
    """Add the operations to an application; ``doorkeeper`` tells who may call which."""
    viewer, operator, admin = (
        [Depends(_allowing(doorkeeper, each))] for each in ("read", "operate", "administer")
    )
    for path, handler, guard, answer in (
        ("/v1/suppressions", api.suppressions, viewer, SuppressionPage),
        ("/v1/audit", api.audit, viewer, AuditPage),
    ):
        app.get(path, dependencies=guard, response_model=None, responses=documented(answer))(
            handler
        )
    for path, change, guard in (
        ("/v1/pause", api.pause_all, operator),
        ("/v1/resume", api.resume_all, admin),
        ("/v1/campaigns/{campaign}/pause", api.pause, operator),
        ("/v1/campaigns/{campaign}/resume", api.resume, operator),
        ("/v1/campaigns/{campaign}/approve", api.approve, admin),
        ("/v1/suppressions/add", api.suppress, operator),
        ("/v1/suppressions/remove", api.unsuppress, admin),
        ("/v1/customers/erase", api.erase, admin),
    ):
        answers = documented(Done)
        app.post(path, dependencies=guard, response_model=None, responses=answers)(change)


def _allowing(doorkeeper: Doorkeeper, permission: Permission) -> Callable[..., None]:
    def check(request: Request, authorization: Annotated[str | None, Header()] = None) -> None:
        request.state.caller = authorized(doorkeeper, authorization, permission)

    return check


def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


def _done(changed: int) -> Response:
    return _json(Done(changed))


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
