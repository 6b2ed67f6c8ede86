"""The cache of prepared statements forgets in the right order, and never loses a name the server keeps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.db.statements import StatementCache

KEYS = st.tuples(st.sampled_from(["anon", "auth"]), st.sampled_from([b"a", b"b", b"c", b"d"]))


@given(st.integers(1, 4), st.lists(KEYS, max_size=60))
def test_holds_the_most_recently_used_and_accounts_for_every_name(capacity: int, keys: list) -> None:
    cache = StatementCache(capacity)
    recent: list = []
    made, closed = set(), set()
    for key in keys:
        statement = cache.get(key)
        assert (statement is not None) == (key in recent)
        if statement is None:
            statement = cache.new(key)
            assert statement.name not in made
            made.add(statement.name)
            cache.keep(statement)
        assert statement.key == key
        recent = [*[other for other in recent if other != key], key][-capacity:]
        closed |= set(cache.closing)
    assert len(cache) == len(recent) <= capacity
    kept = {statement.name for key in recent if (statement := cache.get(key))}
    assert kept | closed == made
    assert not kept & closed


def test_forgets_all_when_told() -> None:
    cache = StatementCache(1)
    for sql in (b"a", b"b"):
        cache.keep(cache.new(("anon", sql)))
    cache.forget()
    assert len(cache) == 0
    assert cache.closing == []
    assert cache.get(("anon", b"b")) is None
