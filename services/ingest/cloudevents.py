"""CloudEvents over HTTP: which mode a request is in, and binary mode as structured JSON.

By the HTTP protocol binding 1.0.2 of CloudEvents. ``application/json`` without ``ce-`` headers is
taken as structured, too, because most senders have it at hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal
from urllib.parse import unquote

import msgspec

from services.ingest.refusal import Problem, RefusedError
from shared.domain.events import DECODE_ERRORS

Mode = Literal["structured", "binary", "batch"]
Header = tuple[str, str]

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
JSON: Final = "application/json"

_PREFIX: Final = "ce-"
_ATTRIBUTE: Final = re.compile(r"[a-z0-9]{1,64}")
_ESCAPE: Final = re.compile(r"\\(.)")
_CHARSET: Final = re.compile(r";\s*charset=\"?([^\";\s]+)", re.IGNORECASE)
_json = msgspec.json.Decoder(msgspec.Raw)


class UnsupportedMediaTypeError(ValueError):
    """A content type, character set or encoding that is not taken; the message says which are."""


def mode_of(headers: Iterable[Header]) -> Mode:
    """Return the mode of a request with these headers (names in lower case).

    Raises
    ------
    UnsupportedMediaTypeError
        With what can be sent instead.

    """
    found = dict(headers)
    _require_plain_utf8(found)
    media_type = found.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == BATCH:
        return "batch"
    if media_type == STRUCTURED:
        return "structured"
    if media_type == JSON:
        return "binary" if "ce-specversion" in found else "structured"
    raise UnsupportedMediaTypeError(
        f"Content-Type {media_type or 'is missing'}: send {STRUCTURED}, {BATCH}, or {JSON}."
    )


def _require_plain_utf8(headers: dict[str, str]) -> None:
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise UnsupportedMediaTypeError(f"Content-Encoding {encoding}: send the body as it is.")
    charset = _CHARSET.search(headers.get("content-type", ""))
    if charset and charset[1].lower() not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaTypeError(f"charset={charset[1]}: send UTF-8.")


def structured(headers: Iterable[Header], body: bytes) -> bytes:
    """Return a binary-mode event as structured JSON.

    Parameters
    ----------
    headers
        Names in lower case; attributes of the event begin with ``ce-``.
    body
        The event's data, in JSON.

    Raises
    ------
    RefusedError
        ``unreadable`` when the body is no JSON, ``invalid`` for bad headers.

    """
    attributes = _attributes(headers)
    try:
        # Decoded, not pasted: what follows a complete value would become attributes.
        data = _json.decode(body)
    except DECODE_ERRORS as error:
        detail = f"The body, which is the event's data, is no JSON: {error}. Send UTF-8 JSON."
        raise RefusedError("unreadable", detail, events=1) from None
    return msgspec.json.encode({**attributes, "datacontenttype": JSON, "data": data})


def _attributes(headers: Iterable[Header]) -> dict[str, str]:
    attributes: dict[str, str] = {}
    problems: list[Problem] = []
    for header, value in headers:
        if not header.startswith(_PREFIX):
            continue
        name = header.removeprefix(_PREFIX)
        if wrong := _wrong_name(name, attributes) or _wrong_value(value):
            problems.append(Problem(0, header, *wrong))
        else:
            attributes[name] = _text(value)
    if problems:
        raise RefusedError("invalid", "Bad headers.", events=1, problems=problems)
    return attributes


def _wrong_name(name: str, attributes: dict[str, str]) -> tuple[str, str] | None:
    if name in attributes:
        return "sent twice", "Send it once"
    if not _ATTRIBUTE.fullmatch(name) or name == "data":
        return "no attribute name", "Use lower-case letters and digits, and not `data`"
    return None


def _wrong_value(value: str) -> tuple[str, str] | None:
    try:
        if value.isascii() and _text(value) is not None:
            return None
    except UnicodeDecodeError:
        pass
    return "not UTF-8 in percent-encoding", "Percent-encode the bytes of its UTF-8"


def _text(value: str) -> str:
    """Undo the binding's encoding: double quotes first, then one round of percent-decoding."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = _ESCAPE.sub(r"\1", value[1:-1])
    return unquote(value, errors="strict")
