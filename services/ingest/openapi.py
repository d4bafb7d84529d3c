"""The documentation of the HTTP interface: OpenAPI 3.1 with an example of everything.

The schemas are those of the structs that requests are decoded with; tests send the examples.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from services.ingest.cloudevents import BATCH, JSON, STRUCTURED
from services.ingest.refusal import RETRY_IS_SAFE
from shared.domain import events

_SCHEMAS: Final = "#/components/schemas/{name}"


def _event(kind: str, number: int, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "type": kind,
        "source": "//billing.example/eu",
        "id": f"inv-2026-{number:06}",
        "subject": "customer-4711",
        "time": f"2026-01-31T12:00:0{number}Z",
        "data": data,
    }


_DATA: Final[dict[str, dict[str, Any]]] = {
    "tenure.usage": {
        "service": "data",
        "quantity": 1.5,
        "unit": "GB",
        "initiated_by": "customer",
    },
    "tenure.purchase": {
        "product": "topup-20",
        "category": "recharge",
        "amount": 20.0,
        "currency": "USD",
        "margin": 0.35,
    },
    "tenure.account": {
        "status": "activated",
        "plan": "prepaid-m",
        "market": "NL",
        "time_zone": "Europe/Amsterdam",
        "acquisition_source": "shop",
    },
    "tenure.contact": {
        "channel": "sms",
        "outcome": "accepted",
        "trigger_id": "6f1f8d4e-2f0f-5c59-9a43-0d1f6f1c7a10",
    },
    "tenure.cost": {"kind": "service", "amount": 3.2, "currency": "USD"},
}

#: An event of each type.
EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    kind: _event(kind, number, data) for number, (kind, data) in enumerate(_DATA.items())
}

_HEADERS: Final = {
    f"ce-{name}": value
    for name, value in EXAMPLES["tenure.usage"].items()
    if name not in ("data", "datacontenttype")
}


def _problem(status: int, title: str, detail: str, **members: object) -> dict[str, Any]:
    kind = members.pop("type", "about:blank")
    return {"type": kind, "title": title, "status": status, "detail": detail, **members}


#: The answers other than 202: when they come, an example, and whether they say when to try again.
ERRORS: Final[dict[str, tuple[str, dict[str, Any], bool]]] = {
    "400": (
        "The body is no JSON.",
        _problem(
            400,
            "Bad Request",
            "The body is no JSON: Input data was truncated. Send UTF-8 JSON (RFC 8259).",
            type="urn:tenure:problem:unreadable",
        ),
        False,
    ),
    "401": (
        "No API key, or one that is not known.",
        _problem(401, "Unauthorized", "Send an API key: `Authorization: Bearer <key>`."),
        False,
    ),
    "403": (
        "The key may not do this, or not for this source.",
        _problem(
            403,
            "Forbidden",
            "The key 'billing' may not send for ['//shop.example'].",
            type="urn:tenure:problem:forbidden",
            errors=[
                {
                    "index": 0,
                    "field": "source",
                    "reason": "the key 'billing' may not send for this source",
                    "remedy": "Use the key of that source, or have it added to `sources` in the"
                    " keys file",
                }
            ],
        ),
        False,
    ),
    "408": (
        "The body did not arrive in time.",
        _problem(408, "Request Timeout", "No body within 30 s."),
        False,
    ),
    "413": (
        "The body is too large.",
        _problem(
            413,
            "Request Entity Too Large",
            "The body is over 2000000 bytes. Send smaller batches.",
        ),
        False,
    ),
    "415": (
        "A content type, character set or encoding that is not taken.",
        _problem(
            415,
            "Unsupported Media Type",
            f"Content-Type text/csv: send {STRUCTURED}, {BATCH}, or {JSON}.",
        ),
        False,
    ),
    "422": (
        "At least one event is bad; none was accepted. There is an error for each bad event.",
        _problem(
            422,
            "Unprocessable Entity",
            "1 of 500 events are bad, and none was accepted. Mend them as `errors` says.",
            type="urn:tenure:problem:invalid",
            errors=[
                {
                    "index": 17,
                    "field": "data.currency",
                    "reason": "EUR, but amounts are in USD here",
                    "remedy": "Convert the amount to USD",
                }
            ],
        ),
        False,
    ),
    "429": (
        "The key's quota is used up. Nothing was written.",
        _problem(
            429,
            "Too Many Requests",
            "The key 'billing' may send 5000 events a second. Send them slower, or ask for a"
            " larger quota.",
            type="urn:tenure:problem:quota",
        ),
        True,
    ),
    "503": (
        "Kafka did not acknowledge, or ingest is busy or shutting down. A retry is safe.",
        _problem(
            503,
            "Service Unavailable",
            f"Kafka did not answer within 15 s. {RETRY_IS_SAFE}",
            type="urn:tenure:problem:unavailable",
        ),
        True,
    ),
}


def _responses(*statuses: str) -> dict[str, Any]:
    return {status: _response(*ERRORS[status]) for status in statuses}


def _response(description: str, example: dict[str, Any], retry: bool) -> dict[str, Any]:  # noqa: FBT001  # a column of ERRORS
    schema = {"$ref": _SCHEMAS.format(name="ProblemDetails")}
    content = {"application/problem+json": {"schema": schema, "example": example}}
    if not retry:
        return {"description": description, "content": content}
    after = {"description": "Seconds to wait", "schema": {"type": "integer"}}
    return {"description": description, "content": content, "headers": {"Retry-After": after}}


def _any_event() -> dict[str, Any]:
    return {"$ref": _SCHEMAS.format(name="CustomerEvent")}


def _named(examples: dict[str, Any]) -> dict[str, Any]:
    return {name: {"value": value} for name, value in examples.items()}


#: ``POST /v1/events``.
EVENTS: Final[dict[str, Any]] = {
    "summary": "Send events",
    "description": "Takes one event or a batch, in any mode of the CloudEvents HTTP binding."
    " Answers when Kafka has all of them on all in-sync replicas. A batch is accepted or refused"
    " as a whole; an empty one is accepted. Amounts are in the deployment's reporting currency.",
    "security": [{"key": []}],
    "parameters": [
        {
            "name": name,
            "in": "header",
            "description": "Attribute of the event, in binary mode only",
            "schema": {"type": "string"},
            "example": value,
        }
        for name, value in _HEADERS.items()
    ],
    "requestBody": {
        "required": True,
        "content": {
            STRUCTURED: {"schema": _any_event(), "examples": _named(EXAMPLES)},
            BATCH: {
                "schema": {"type": "array", "items": _any_event()},
                "examples": _named({"one of each": list(EXAMPLES.values()), "empty": []}),
            },
            JSON: {
                "schema": {
                    "description": "With `ce-` headers the event's data, else a whole event",
                    "type": "object",
                },
                "examples": _named(
                    {
                        "binary mode": EXAMPLES["tenure.usage"]["data"],
                        "structured mode": EXAMPLES["tenure.purchase"],
                    }
                ),
            },
        },
    },
    "responses": {
        "202": {
            "description": "All events are in Kafka",
            "content": {
                JSON: {
                    "schema": {
                        "type": "object",
                        "properties": {"accepted": {"type": "integer"}},
                        "required": ["accepted"],
                    },
                    "example": {"accepted": 5},
                }
            },
        },
        **_responses(*ERRORS),
    },
}

#: ``POST /v1/ticks``.
TICKS: Final[dict[str, Any]] = {
    "summary": "Move time",
    "description": "Lets every partition know that this time has come, behind all events accepted"
    " before, so that silence is noticed while history is replayed. Needs the permission `ticks`.",
    "security": [{"key": []}],
    "requestBody": {
        "required": True,
        "content": {
            JSON: {
                "schema": {
                    "type": "object",
                    "properties": {"time": {"type": "string", "format": "date-time"}},
                    "required": ["time"],
                },
                "example": {"time": "2026-01-31T23:59:59Z"},
            }
        },
    },
    "responses": {
        "202": {"description": "Every partition has the tick"},
        **_responses("400", "401", "403", "413", "415", "422", "503"),
    },
}

_PROBLEM_DETAILS: Final[dict[str, Any]] = {
    "type": "object",
    "description": "A problem by RFC 9457",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, and what to do"},
        "errors": {
            "type": "array",
            "description": "The bad events",
            "items": {
                "type": "object",
                "required": ["index", "field", "reason", "remedy"],
                "properties": {
                    "index": {"type": "integer", "description": "Place in the request, from 0"},
                    "field": {"type": "string", "description": "`$` is the event as a whole"},
                    "reason": {"type": "string"},
                    "remedy": {"type": "string"},
                },
            },
        },
    },
}


def components() -> dict[str, Any]:
    """Return the schemas that the operations refer to, and how callers identify themselves."""
    return {
        "schemas": _schemas(),
        "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
    }


def _schemas() -> dict[str, Any]:
    (any_event,), parts = msgspec.json.schema_components(
        [events.CustomerEvent], ref_template=_SCHEMAS
    )
    return {"CustomerEvent": any_event, "ProblemDetails": _PROBLEM_DETAILS, **parts}
