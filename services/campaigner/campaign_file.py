"""The campaign file: YAML in, campaigns out, or every error with its line and remedy at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from hashlib import blake2b
from importlib import resources
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import yaml
from msgspec import Struct
from msgspec.structs import replace
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from services.campaigner.audience_model import AudienceModel, WhereModel
from services.campaigner.campaign_model import CampaignModel, CampaignsModel, GuardRailsModel
from services.campaigner.campaign_values import EXAMPLES
from services.campaigner.trigger_model import TriggerModel
from shared.domain.campaigns import Campaign, GuardRails
from shared.domain.conditions import Condition
from shared.domain.errors import TenureError
from shared.domain.named_segments import BUILT_IN, NamedSegment, is_segment, resolved
from shared.domain.rfm import SEGMENTS

Path_ = tuple[str | int, ...]

#: Errors of pydantic's in words that know nothing of our classes.
_REASONS: Final = {
    "missing": "missing",
    "extra_forbidden": "unknown",
    "model_type": "not a mapping",
    "list_type": "not a list",
    "string_type": "not a text",
}


_DEFINE: Final = "Define it below `segments:`, or see `tenure segments` for those there are"
_OWN_NAMES: Final = [each.name for each in BUILT_IN]


class Problem(NamedTuple):
    """One error of a campaign file; ``line`` counts from 1, ``field`` is a path into the file."""

    line: int
    field: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.field}: {self.reason}. {self.remedy}"


class CampaignFileError(TenureError):
    """A campaign file that cannot be used; ``problems`` are all that is wrong with it."""

    def __init__(self, name: str, problems: list[Problem]) -> None:
        super().__init__("\n".join(f"{name}: {problem}" for problem in problems))
        self.problems = problems


class CampaignBook(Struct, frozen=True):
    """The campaigns of a file, in its order; ``version`` is a hash of the file's content.

    ``segments`` are Tenure's own by conditions, then those of the file.
    """

    version: str
    campaigns: tuple[Campaign, ...]
    rails: GuardRails = GuardRails()
    segments: tuple[NamedSegment, ...] = BUILT_IN

    @property
    def definitions(self) -> str:
        """A hash of the segments' conditions: whoever was looked at by others is so anew."""
        known = [(each.name, each.condition) for each in self.segments]
        return _hash(msgspec.json.encode(known, order="sorted"))

    def documents(self) -> dict[tuple[str, str], str]:
        """Return each campaign as JSON by (name, version)."""
        return {(each.name, each.version): _canonical(each).decode() for each in self.campaigns}

    def rails_document(self) -> str:
        """Return the guard rails as JSON."""
        return msgspec.json.encode(self.rails, order="sorted").decode()


def read_campaigns(path: Path | None) -> CampaignBook:
    """Read a campaign file, or the built-in one.

    Raises
    ------
    CampaignFileError
        With every problem, its line and its remedy.

    """
    return parse_campaigns(campaign_bytes(path), str(path or "built-in campaigns"))


def campaign_bytes(path: Path | None) -> bytes:
    """Return what a campaign file holds; raises a `CampaignFileError` if it cannot be read."""
    if path is None:
        return resources.files(__package__).joinpath("default_campaigns.yaml").read_bytes()
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = "Create it, or set TENURE_CAMPAIGNS_FILE to another"
        raise CampaignFileError(str(path), [Problem(1, "file", reason, remedy)]) from None


def parse_campaigns(content: bytes, name: str = "campaigns") -> CampaignBook:
    """Parse a campaign file; ``name`` is how errors call it. Raises as `read_campaigns` does."""
    document = _Document(content, name)
    model, errors = _validate(document.value)
    problems = document.twice + document.namesakes() + [document.problem(each) for each in errors]
    problems += document.unknown_segments()
    if model is None or problems:
        raise CampaignFileError(name, sorted(problems))
    rails = model.guard_rails.rails()
    own: dict[str, Condition] = {}
    segments = []
    for each in model.segments:
        segment = each.segment()
        segments.append(replace(segment, condition=resolved(segment.condition, own)))
        own[segment.name] = segments[-1].condition
    campaigns = tuple(
        _versioned(_with_segments(each.campaign(rails.time_zone), own)) for each in model.campaigns
    )
    return CampaignBook(_hash(content), campaigns, rails, (*BUILT_IN, *segments))


def _with_segments(campaign: Campaign, own: Mapping[str, Condition]) -> Campaign:
    """Return a campaign whose audience says what the segments that it names mean."""
    audience = campaign.audience
    if audience.where is None:
        return campaign
    return replace(campaign, audience=replace(audience, where=resolved(audience.where, own)))


def _validate(value: object) -> tuple[CampaignsModel | None, list[ErrorDetails]]:
    try:
        return CampaignsModel.model_validate(value), []
    except ValidationError as error:
        return None, error.errors()


class _Document:
    """A YAML document: its value, and the line of each part of it."""

    def __init__(self, content: bytes, name: str) -> None:
        self._lines: dict[Path_, int] = {(): 1}
        #: Keys that are written twice, of which YAML silently keeps one.
        self.twice: list[Problem] = []
        try:
            self.value = self._load(content)
        except yaml.YAMLError as error:
            raise CampaignFileError(name, [_syntax_problem(error)]) from None
        except (RecursionError, UnicodeDecodeError) as error:
            reason = f"cannot be read ({type(error).__name__})"
            problem = Problem(1, "file", reason, "Write plain YAML in UTF-8")
            raise CampaignFileError(name, [problem]) from None

    def problem(self, error: ErrorDetails) -> Problem:
        """Return an error of pydantic's with its line and remedy."""
        path = tuple(error["loc"])
        remedy = error.get("ctx", {}).get("remedy") or _remedy(path, error["type"])
        return Problem(self._line(path), _dotted(path), _reason(error), remedy)

    def namesakes(self) -> list[Problem]:
        """Return the campaigns, and the segments, that are named like one above them."""
        return [*self._namesakes("campaigns"), *self._namesakes("segments")]

    def unknown_segments(self) -> list[Problem]:
        """Return the names of segments, in conditions, that there are not, or not yet."""
        names, problems = self._names("segments"), []
        for path, name in self._segments_named(self.value, ()):
            above = names[: int(path[1])] if path[0] == "segments" else names
            if not is_segment(name, map(str, above)):
                known = [*map(str, names), *SEGMENTS, *_OWN_NAMES]
                similar = get_close_matches(name, known, n=1)
                reason = f"there is no segment {name!r}"
                remedy = f"Did you mean `{similar[0]}`?" if similar else _DEFINE
                if name in names:
                    reason, remedy = f"segment {name!r} stands below", "Move it above this one"
                problems.append(Problem(self._line(path), _dotted(path), reason, remedy))
        return problems

    def _segments_named(self, value: object, path: Path_) -> Iterator[tuple[Path_, str]]:
        """Yield each name of a segment in a condition, and where it stands."""
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from self._segments_named(inner, (*path, str(key)))
        elif isinstance(value, list):
            names = path[-1:] == ("segment",) and "where" in path and path[-2:-1] != ("attributes",)
            for number, inner in enumerate(value):
                if names and isinstance(inner, str):
                    yield (*path, number), inner
                else:
                    yield from self._segments_named(inner, (*path, number))

    def _namesakes(self, of: str) -> list[Problem]:
        first: dict[object, str] = {}
        problems = []
        for number, name in enumerate(self._names(of)):
            path = (of, number, "name")
            other = first.setdefault(name, _dotted(path))
            if name is not None and other != _dotted(path):
                reason = f"{name!r} is the name of {other}, too"
                problems.append(Problem(self._line(path), _dotted(path), reason, "Rename one"))
        return problems

    def _names(self, of: str) -> list[object]:
        named = self.value.get(of) if isinstance(self.value, dict) else None
        listed = named if isinstance(named, list) else []
        names = [each.get("name") if isinstance(each, dict) else None for each in listed]
        return [name if isinstance(name, str) else None for name in names]

    def _load(self, content: bytes) -> object:
        loader = yaml.SafeLoader(content)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            self._walk(node, ())
            return loader.construct_document(node)
        finally:
            loader.dispose()

    def _walk(self, node: yaml.Node, path: Path_) -> None:
        self._lines[path] = node.start_mark.line + 1
        if isinstance(node, yaml.SequenceNode):
            for number, child in enumerate(node.value):
                self._walk(child, (*path, number))
        elif isinstance(node, yaml.MappingNode):
            self._walk_mapping(node, path)

    def _walk_mapping(self, node: yaml.MappingNode, path: Path_) -> None:
        for key, child in node.value:
            inner = (*path, str(key.value))
            line = key.start_mark.line + 1
            if inner in self._lines:
                remedy = "Keep one of the two"
                self.twice.append(Problem(line, _dotted(inner), "written twice", remedy))
            self._walk(child, inner)
            self._lines[inner] = line  # where the key stands, not the value below it

    def _line(self, path: Path_) -> int:
        """Return the line of a part, or of what it is missing from."""
        while path not in self._lines:
            path = path[:-1]
        return self._lines[path]


def _syntax_problem(error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or str(error).splitlines()[0]
    line = mark.line + 1 if mark else 1
    return Problem(line, "file", f"not YAML: {reason}", "Mend the syntax at or above this line")


def _reason(error: ErrorDetails) -> str:
    known = _REASONS.get(error["type"])
    if known is not None:
        return known
    shown = error["msg"][0].lower() + error["msg"][1:]
    return f"{shown} (it is {_short(error['input'])})"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004  # a line of a terminal


def _remedy(path: Path_, kind: str) -> str:
    name = str(path[-1]) if path else "campaigns"
    if kind == "extra_forbidden":
        return _remedy_for_unknown(name)
    field = next((each for each in reversed(path) if each in EXAMPLES), "campaigns")
    return f"Write e.g. `{field}: {EXAMPLES[str(field)]}`"


#: Where a field belongs that stands where it does not.
_PLACES: Final = {
    field: f"Move it into `{place}`"
    for place, model in (
        ("guard_rails", GuardRailsModel),
        ("audience", AudienceModel),
        ("where", WhereModel),
        ("trigger", TriggerModel),
        ("campaigns", CampaignModel),
    )
    for field in model.model_fields
}


def _remedy_for_unknown(name: str) -> str:
    if name in _PLACES:
        return _PLACES[name]
    similar = get_close_matches(name, EXAMPLES, n=1)
    return f"Did you mean `{similar[0]}`?" if similar else "Remove it"


def _dotted(path: Path_) -> str:
    return "".join(_step(each) for each in path).lstrip(".") or "file"


def _step(each: str | int) -> str:
    return f"[{each}]" if isinstance(each, int) else f".{each}"


def _versioned(campaign: Campaign) -> Campaign:
    return replace(campaign, version=_hash(_canonical(campaign)))


def _canonical(campaign: Campaign) -> bytes:
    """Return the same bytes for the same campaign, however its file is written."""
    return msgspec.json.encode(campaign, order="sorted")


def _hash(content: bytes) -> str:
    return blake2b(content, digest_size=6).hexdigest()
