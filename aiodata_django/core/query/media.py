"""Media types: reading Accept and Content-Type, writing Content-Type.

What lives here: the record of a media type and its two texts. What does not: which of the accepted types is
answered with (``negotiate``).

Source: RFC 9110, 8.3 and 12.5.1; https://docs.postgrest.org/en/v16/references/api/resource_representation.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_TOKENS = re.compile(r"([0-9A-Za-z.*]+)/([0-9A-Za-z.*+-]+)")
_PARAMETER = re.compile(r"\s*;\s*([0-9A-Za-z-]+)\s*=\s*(?:\"([^\"]*)\"|([0-9A-Za-z|-]+))")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_KNOWN = (
    "application/json",
    "application/geo+json",
    "text/csv",
    "text/plain",
    "text/xml",
    "application/openapi+json",
    "application/x-www-form-urlencoded",
    "application/octet-stream",
    "*/*",
)
_OBJECT = "application/vnd.pgrst.object"
_ARRAY = "application/vnd.pgrst.array"
_PLAN = "application/vnd.pgrst.plan"
PLAN_OPTIONS = ("analyze", "verbose", "settings", "buffers", "wal")


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What ``vnd.pgrst.plan`` asks of EXPLAIN: ``format`` is ``text`` or ``json``."""

    format: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type as far as it matters here.

    ``name`` is canonical for the types known, the given text for all others (``is_other``);
    ``nulls_stripped`` belongs to the vendored object and array; ``plan`` makes it a plan *for* the type.
    """

    name: str
    is_other: bool = False
    nulls_stripped: bool = False
    plan: PlanOptions | None = None

    @property
    def is_object(self) -> bool:
        """One JSON object is asked for."""
        return self.name == _OBJECT + "+json"

    @property
    def mime(self) -> str:
        """The text of the type, parameters included."""
        text = self.name + (";nulls=stripped" if self.nulls_stripped else "")
        if self.plan is None:
            return text
        options = "; options=" + "|".join(self.plan.options) if self.plan.options else ""
        return f'{_PLAN}+{self.plan.format}; for="{text}"{options}'

    @property
    def content_type(self) -> str:
        """The value of Content-Type; UTF-8 is told for all but bytes and custom types."""
        bare = self.plan is None and (self.is_other or self.name == "application/octet-stream")
        return self.mime if bare else self.mime + "; charset=utf-8"


JSON = MediaType("application/json")
ANY = MediaType("*/*")
CSV = MediaType("text/csv")
GEOJSON = MediaType("application/geo+json")
OPENAPI = MediaType("application/openapi+json")
TEXT = MediaType("text/plain")
XML = MediaType("text/xml")
OCTETS = MediaType("application/octet-stream")
FORM = MediaType("application/x-www-form-urlencoded")
ARRAY_STRIPPED = MediaType(_ARRAY + "+json", nulls_stripped=True)


@lru_cache(maxsize=512)
def parse_media_type(text: str) -> MediaType:
    """One media type; unknown and malformed ones keep their text."""
    match = _TOKENS.match(text)
    if match is None:
        return MediaType(text, is_other=True)
    name = f"{match[1]}/{match[2]}".lower()
    parameters = _parameters(text, match.end())
    if name in _KNOWN:
        return MediaType(name)
    stripped = parameters.get("nulls") == "stripped"
    if name in (_OBJECT, _OBJECT + "+json"):
        return MediaType(_OBJECT + "+json", nulls_stripped=stripped)
    if name in (_ARRAY, _ARRAY + "+json"):
        return ARRAY_STRIPPED if stripped else JSON
    if name in (_PLAN, _PLAN + "+text", _PLAN + "+json"):
        return _plan("json" if name.endswith("+json") else "text", parameters)
    return MediaType(text, is_other=True)


def _parameters(text: str, position: int) -> dict[str, str]:
    found = {}
    while match := _PARAMETER.match(text, position):
        found[match[1].lower()] = match[2] if match[2] is not None else match[3]
        position = match.end()
    return found


def _plan(form: str, parameters: dict[str, str]) -> MediaType:
    of = parse_media_type(parameters.get("for", "application/json"))
    asked = parameters.get("options", "").split("|")
    options = tuple(option for option in PLAN_OPTIONS if option in asked)
    return MediaType(of.name, of.is_other, of.nulls_stripped, PlanOptions(form, options))


@lru_cache(maxsize=512)
def parse_accept(header: str) -> tuple[MediaType, ...]:
    """The media types of an Accept header, best first: by quality, then by specificity, then as they come."""
    ranked = []
    for part in header.split(","):
        # As PostgREST does: spaces go before the quality is looked for, quoted ones too.
        text, _, rest = part.replace(" ", "").partition(";q=")
        ranked.append((_quality(rest), text.count(";") - text.count("*"), text))
    ranked.sort(key=lambda entry: entry[:2], reverse=True)
    return tuple(parse_media_type(text) for _, _, text in ranked)


def _quality(text: str) -> float:
    match = _NUMBER.match(text)
    return float(match[0]) if match else 1.0
