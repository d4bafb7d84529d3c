"""The operator API: who a customer is, what was decided about them and why, how campaigns go."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Any, Final

import msgspec
from fastapi import Depends, FastAPI, Header, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi

from services.campaigner.campaign_file import CampaignBook
from services.campaigner.investment_query import InvestmentQuery
from services.campaigner.products import NextProducts
from services.campaigner.views import (
    AuditPage,
    BasePage,
    CampaignPage,
    CampaignView,
    CashPage,
    CohortPage,
    DecisionPage,
    Done,
    LeadPage,
    MonthPage,
    Problem,
    ProductPage,
    ReferrerPage,
    SegmentPage,
    SourcePage,
    StagePage,
    SuppressionPage,
)
from shared import metrics
from shared.adapters.access import authorized
from shared.adapters.api_keys import Doorkeeper
from shared.adapters.health import Health, health_routes
from shared.adapters.http import PROBLEM_HANDLERS, ProblemError, problem_response
from shared.adapters.sql.campaign_queries import CampaignQueries, StoredDecision
from shared.domain.acquisition import referrers, sources
from shared.domain.base_book import MonthsBy, month_of
from shared.domain.base_cash import cash
from shared.domain.base_months import parts
from shared.domain.base_report import By, group
from shared.domain.campaign_outputs import Outcome
from shared.domain.campaign_report import CampaignReport, report_on, reports_on
from shared.domain.cohorts import CohortBy, cohorts
from shared.domain.controls import ALL, UNCONTROLLED, Controls
from shared.domain.investment import Investment, invest
from shared.domain.leads import ranked
from shared.domain.outputs import Score
from shared.domain.policy import Policy

_MOST: Final = 1_000
_POLICY: Final = Policy()
_SCHEMAS: Final = "#/components/schemas/{name}"
_ANSWERS: Final = (
    Score, StoredDecision, DecisionPage, CampaignPage, CampaignReport, StagePage, Problem,
    SuppressionPage, AuditPage, Done, BasePage, CohortPage, SourcePage, ReferrerPage,
    Investment, SegmentPage, MonthPage, CashPage, ProductPage, LeadPage,
)  # fmt: skip

CustomerId = Annotated[str, Path(description="As in the events")]
CampaignName = Annotated[str, Path(description="As in the campaign file")]
DecisionId = Annotated[str, Path(description="Also the id of the trigger")]
CohortsBy = Annotated[CohortBy, Query(description="What the customers of a cohort share")]
GroupedBy = Annotated[By, Query(description="What the customers of a group have in common")]
MonthsOf = Annotated[MonthsBy, Query(description="What the customers of a part share")]
CashMonths = Annotated[int, Query(ge=1, le=60, description="So many months")]
Limit = Annotated[int, Query(ge=1, le=_MOST, description="At most so many")]
After = Annotated[str | None, Query(description="`next` of the page before")]


class Api:
    """The operations. They run in threads, since they wait for the database.

    Parameters
    ----------
    queries
        The database.
    book
        Returns the campaigns in force.
    controls
        Returns what people decided beside their file.
    policy
        By which scores say what is expected, and what it is worth.

    """

    def __init__(
        self,
        queries: CampaignQueries,
        book: Callable[[], CampaignBook],
        controls: Callable[[], Controls] = lambda: UNCONTROLLED,
        *,
        policy: Policy = _POLICY,
        products: NextProducts | None = None,
    ) -> None:
        self._policy = policy
        self._products = products or NextProducts(queries.products, queries.now)
        self._queries = queries
        self._book = book
        self._controls = controls

    def customer(self, customer: CustomerId) -> Response:
        """Return a customer's live profile: stage, risk with its reasons, value, what is known."""
        profile = self._queries.profile(customer)
        if profile is None:
            raise ProblemError(404, "No such customer. Check the id.")
        return Response(profile, media_type="application/json")

    def investment(
        self, customer: CustomerId, asked: Annotated[InvestmentQuery, Query()]
    ) -> Response:
        """Return what may be invested in a customer: what is at stake, an offer, a subsidy."""
        profile = self._queries.profile(customer)
        if profile is None:
            raise ProblemError(404, "No such customer. Check the id.")
        score = msgspec.json.decode(profile, type=Score)
        return _json(invest(score, self._policy, asked.response(), asked.offer, asked.bargain()))

    def products(self, customer: CustomerId, limit: Limit = 5) -> Response:
        """Return what a customer holds, and is likely to take up next."""
        profile = self._queries.profile(customer)
        if profile is None:
            raise ProblemError(404, "No such customer. Check the id.")
        dealings = msgspec.json.decode(profile, type=Score).dealings
        held, following = self._products.of(customer, dealings, limit)
        return _json(ProductPage(customer, held, following, self._products.learned_at))

    def customer_decisions(
        self, customer: CustomerId, limit: Limit = 100, after: After = None
    ) -> Response:
        """Return what was decided about a customer, the newest first."""
        return self._page(limit, after, customer=customer)

    def decisions(
        self,
        campaign: str | None = None,
        outcome: Outcome | None = None,
        limit: Limit = 100,
        after: After = None,
    ) -> Response:
        """Return decisions, the newest first."""
        return self._page(limit, after, campaign=campaign, outcome=outcome)

    def decision(self, decision: DecisionId) -> Response:
        """Return a decision with the outcome of every check."""
        found = self._queries.decision(decision)
        if found is None:
            raise ProblemError(404, "No such decision. GET /v1/decisions lists them.")
        return _json(found)

    def campaigns(self) -> Response:
        """Return the campaigns in force, with their decisions by outcome."""
        outcomes, book, controls = self._queries.outcomes(), self._book(), self._controls()
        views = [
            CampaignView(
                **msgspec.structs.asdict(each),
                outcomes=outcomes.get(each.name, {}),
                due=str(each.trigger),
                held=controls.why_held(each.name),
                approved=not book.rails.needs_approval(each)
                or (each.name, each.version) in controls.approved,
            )
            for each in book.campaigns
        ]
        return _json(CampaignPage(book.version, views))

    def report(self, campaign: CampaignName) -> Response:
        """Return what a campaign achieved: both arms, uplift, cost and return."""
        if campaign not in {each.name for each in self._book().campaigns}:
            raise ProblemError(404, "No such campaign in force. GET /v1/campaigns lists them.")
        return _json(report_on(campaign, self._queries.unit_sums(campaign).get(campaign, [])))

    def report_on_all(self) -> Response:
        """Return what all campaigns together achieved, by the control group of all of them."""
        reports = reports_on(self._queries.unit_sums())
        return _json(next((one for one in reports if one.campaign == ALL), report_on(ALL, [])))

    def stages(self) -> Response:
        """Return how many customers are in each stage."""
        return _json(StagePage(self._queries.stages()))

    def segments(self) -> Response:
        """Return how many customers are in each segment, and where quintiles end."""
        kept = self._queries.segments.newest()
        conditions = {each.name: str(each.condition) for each in self._book().segments}
        counts = {**dict.fromkeys(conditions, 0), **self._queries.segments.counts()}
        return _json(SegmentPage(counts, conditions, kept and kept.boundaries))

    def base(self, by: GroupedBy = "stage") -> Response:
        """Return the base in groups: customers, revenue, margin, cost, spend and value to come."""
        return _json(BasePage(by, group(self._queries.members(), by)))

    def months(self, by: MonthsOf = "all") -> Response:
        """Return the base month by month: who came and went, and how recurring revenue moved."""
        at = self._queries.now()
        return _json(MonthPage(by, at, parts(self._queries.base.cells(by), month_of(at))))

    def cash(self, by: GroupedBy = "stage", months: CashMonths = 6) -> Response:
        """Return what the base is expected to spend in each of the next months."""
        found = cash(self._queries.members(), by, self._policy.horizon_days, months)
        return _json(CashPage(by, self._queries.now(), found))

    def cohorts(self, by: CohortsBy = "month") -> Response:
        """Return how many of those acquired together are still active, by months since."""
        at = self._queries.now()
        return _json(CohortPage(by, at, cohorts(self._queries.acquired(), by, at)))

    def sources(self) -> Response:
        """Return what acquisition sources cost and brought: conversion, trials, CAC, payback."""
        at = self._queries.now()
        return _json(SourcePage(at, sources(self._queries.acquired(), at)))

    def referrers(self, limit: Limit = 100) -> Response:
        """Return who brought whom, by how many of these paid for something."""
        return _json(ReferrerPage(referrers(self._queries.acquired(), limit)))

    def leads(self, limit: Limit = 100) -> Response:
        """Return who has not paid yet, the likeliest to within the horizon first."""
        at, horizon = self._queries.now(), self._policy.horizon_days
        found = ranked(self._queries.leads.all(), at, horizon)
        return _json(LeadPage(at, horizon, len(found), found[:limit]))

    def _page(self, limit: int, after: str | None, **wanted: str | None) -> Response:
        found = self._queries.decisions(limit=limit, after=after, **wanted)
        following = found[-1].id if len(found) == limit else None
        return _json(DecisionPage(found, following))


def create_app(api: Api, doorkeeper: Doorkeeper, health: Health) -> FastAPI:
    """Return the application."""

    def require_reader(authorization: Annotated[str | None, Header()] = None) -> None:
        authorized(doorkeeper, authorization, "read")

    app = FastAPI(
        title="Tenure campaigner",
        summary="Why a customer was, or was not, contacted.",
        version=version("tenure"),
        routes=health_routes(health, metrics.of("campaigner")),
        exception_handlers={**PROBLEM_HANDLERS, RequestValidationError: _answer_invalid},
        # The usual pages of documentation load their scripts from other hosts.
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    for path, handler, answer in (
        # Ids may hold slashes, hence `:path`, and hence the longer one first.
        ("/v1/customers/{customer:path}/decisions", api.customer_decisions, DecisionPage),
        ("/v1/customers/{customer:path}/investment", api.investment, Investment),
        ("/v1/customers/{customer:path}/products", api.products, ProductPage),
        ("/v1/customers/{customer:path}", api.customer, Score),
        ("/v1/decisions", api.decisions, DecisionPage),
        ("/v1/decisions/{decision}", api.decision, StoredDecision),
        ("/v1/campaigns", api.campaigns, CampaignPage),
        ("/v1/campaigns/{campaign}/report", api.report, CampaignReport),
        ("/v1/report", api.report_on_all, CampaignReport),
        ("/v1/stages", api.stages, StagePage),
        ("/v1/segments", api.segments, SegmentPage),
        ("/v1/base", api.base, BasePage),
        ("/v1/base/months", api.months, MonthPage),
        ("/v1/base/cash", api.cash, CashPage),
        ("/v1/base/cohorts", api.cohorts, CohortPage),
        ("/v1/base/sources", api.sources, SourcePage),
        ("/v1/base/referrers", api.referrers, ReferrerPage),
        ("/v1/leads", api.leads, LeadPage),
    ):
        guard = [Depends(require_reader)]
        answers = documented(answer)
        app.get(path, dependencies=guard, response_model=None, responses=answers)(handler)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]  # as FastAPI says
    return app


def documented(answer: type) -> dict[int | str, dict[str, Any]]:
    """Return what the contract says of an operation's answers."""

    def content(kind: str, name: str) -> dict[str, Any]:
        return {"content": {kind: {"schema": {"$ref": _SCHEMAS.format(name=name)}}}}

    problem = content("application/problem+json", "Problem")
    refused = {"401": "No known API key", "403": "No permission", "422": "A wrong parameter"}
    return {
        200: {"description": "Found", **content("application/json", answer.__name__)},
        404: {"description": "Unknown", **problem},
        **{status: {"description": text, **problem} for status, text in refused.items()},
    }


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, summary=app.summary, version=app.version, routes=app.routes
        )
        _, schemas = msgspec.json.schema_components(_ANSWERS, ref_template=_SCHEMAS)
        of_requests = document.get("components", {}).get("schemas", {})
        document["components"] = {"schemas": {**of_requests, **schemas}}
        app.openapi_schema = document
    return app.openapi_schema


async def _answer_invalid(_: Request, error: Exception) -> Response:
    """Answer wrong parameters as a problem that names each of them."""
    assert isinstance(error, RequestValidationError)  # noqa: S101  # how it was registered
    errors = [
        {"field": str(each["loc"][-1]), "reason": each["msg"], "remedy": "See /openapi.json"}
        for each in error.errors()
    ]
    detail = "; ".join(f"{each['field']}: {each['reason']}" for each in errors)
    return problem_response(ProblemError(422, f"{detail}. See /openapi.json.", errors=errors))


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
