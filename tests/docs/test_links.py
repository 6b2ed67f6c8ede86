"""Links between pages lead somewhere, and every page is reached from the index."""

from __future__ import annotations

import pytest

from tests.docs.pages import DOCS, Page, pages

LINKS = [(page, link) for page in pages() for link in page.links() if "://" not in link]


@pytest.mark.parametrize(
    ("page", "link"), LINKS, ids=lambda case: case if isinstance(case, str) else case.name
)
def test_the_link_leads_to_a_file_and_a_heading(page: Page, link: str):
    path, _, anchor = link.partition("#")
    target = (page.path.parent / path).resolve() if path else page.path
    assert target.exists(), f"{page.name} links to {link}"
    if anchor:
        assert anchor in Page(target).anchors(), f"{page.name} links to {link}"


def test_every_page_is_reached_from_the_index():
    index = Page(DOCS / "index.md")
    reached = {(DOCS / link.partition("#")[0]).resolve() for link in index.links()}
    missing = set(DOCS.rglob("*.md")) - reached - {index.path}
    assert missing == set()


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_a_page_names_no_place_of_one_machine(page: Page):
    for place in ("/tmp/", "/root/", "/home/"):
        assert place not in page.text
