"""Texts without control characters: what ids and names have to be.

They become Kafka keys, log fields and file names, and the state store keeps its own records under
keys that begin with a control character. A pattern on each text would take four fifths of the time
that decoding takes, so bytes are looked at first: JSON has a control character only as an escape,
or as a DEL (RFC 8259, section 7).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

#: For the schemas. The look-ahead is the end of the text: to Python, a `$` would let a last line
#: feed pass.
PATTERN: Final = r"^[^\x00-\x1f\x7f]+(?![\s\S])"
REASON: Final = "holds control characters"

_ESCAPED: Final = re.compile(rb"\\(?:[bfnrt]|u00(?:[01]|7[fF]))")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def require_printable(decoded: object, value: bytes | None = None) -> None:
    """Refuse control characters in any text of what was decoded.

    Parameters
    ----------
    decoded
        Structs, or a list of them.
    value
        The JSON that it was decoded from, if it was: spares most of them the search.

    Raises
    ------
    msgspec.ValidationError
        Naming the place, as msgspec does.

    """
    if value is not None and not _may_hold_control(value):
        return
    for path, text in _texts(msgspec.to_builtins(decoded), "$"):
        if _CONTROL.search(text):
            raise msgspec.ValidationError(f"{REASON} - at `{path}`")


def _may_hold_control(value: bytes) -> bool:
    return b"\x7f" in value or (b"\\" in value and _ESCAPED.search(value) is not None)


def _texts(decoded: object, path: str) -> Iterator[tuple[str, str]]:
    """Yield each text within, keys too, with its place."""
    if isinstance(decoded, str):
        yield path, decoded
    elif isinstance(decoded, dict):
        for name, each in decoded.items():
            yield path, name
            yield from _texts(each, f"{path}.{name}")
    elif isinstance(decoded, list):
        for number, each in enumerate(decoded):
            yield from _texts(each, f"{path}[{number}]")
