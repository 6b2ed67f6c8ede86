"""The documentation as the tests read it: pages, fenced blocks, headings, links.

What lives here: reading Markdown. What does not: running what it shows (``examples``), and judging it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.M | re.S)
_SETTINGS = re.compile(r"<!-- *server:(?P<pairs>.*?)-->", re.S)
_HEADING = re.compile(r"^#+ +(.+?) *$", re.M)
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\((?P<target>[^)\s]+)\)")
_CODE = re.compile(r"`+[^`\n]*`+")


@dataclass(frozen=True)
class Block:
    """A fenced block: ``info`` is what follows the fence, such as ``python run``, ``line`` where it begins.

    ``settings`` are those of the nearest ``<!-- server: name=value -->`` above it. ``span`` is the text's
    place in the page.
    """

    info: str
    text: str
    line: int
    span: tuple[int, int]
    settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Page:
    path: Path

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def blocks(self) -> list[Block]:
        text = self.text
        settings = [(m.start(), _pairs(m["pairs"])) for m in _SETTINGS.finditer(text)]
        return [
            Block(
                info=found["info"].strip(),
                text=re.sub(f"(?m)^{found['indent']}", "", found["text"]),
                line=text.count("\n", 0, found.start()) + 1,
                span=found.span("text"),
                settings=next((pairs for at, pairs in reversed(settings) if at < found.start()), ()),
            )
            for found in _FENCE.finditer(text)
        ]

    def prose(self) -> str:
        """The page without its fenced blocks."""
        return _FENCE.sub("", self.text)

    def anchors(self) -> set[str]:
        """The anchors of its headings, as GitHub makes them."""
        return {_anchor(heading) for heading in _HEADING.findall(self.prose())}

    def links(self) -> list[str]:
        return [found["target"] for found in _LINK.finditer(_CODE.sub("", self.prose()))]


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, _, value in (pair.partition("=") for pair in text.split()))


def _anchor(heading: str) -> str:
    plain = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def pages() -> list[Page]:
    """Every page: the README, the changelog, and all of docs/."""
    files = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
    return [Page(file) for file in files if file.exists()]


def page(name: str) -> Page:
    return Page(ROOT / name)
