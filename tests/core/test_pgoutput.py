"""Every pgoutput message survives a round trip through an encoder written from the protocol's description."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.changes import pgoutput as pg

from .pgoutput_encoder import big, encode

names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
oids = st.integers(0, 2**32 - 1)
lsns = st.integers(0, 2**64 - 1)
times = st.integers(-(2**63), 2**63 - 1)
values = st.lists(st.one_of(st.none(), st.just(pg.UNCHANGED), st.binary(max_size=30)), max_size=8).map(tuple)

columns = st.builds(pg.RelationColumn, st.booleans(), names, oids, st.integers(-(2**31), 2**31 - 1))
updates = st.one_of(
    st.builds(pg.Update, oids, st.just(""), st.none(), values),
    st.builds(pg.Update, oids, st.sampled_from("KO"), values, values),
)
messages = st.one_of(
    st.builds(pg.Begin, lsns, times, oids),
    st.builds(pg.Commit, st.integers(0, 255), lsns, lsns, times),
    st.builds(pg.Origin, lsns, names),
    st.builds(
        pg.RelationMessage,
        oids,
        names,
        names,
        st.sampled_from("dnfi"),
        st.lists(columns, max_size=6).map(tuple),
    ),
    st.builds(pg.TypeMessage, oids, names, names),
    st.builds(pg.Insert, oids, values),
    updates,
    st.builds(pg.Delete, oids, st.sampled_from("KO"), values),
    st.builds(pg.Truncate, st.integers(0, 3), st.lists(oids, max_size=5).map(tuple)),
    st.builds(pg.LogicalMessage, st.booleans(), lsns, names, st.binary(max_size=40)),
)


@given(messages)
def test_every_message_decodes_to_what_was_encoded(message: pg.Message) -> None:
    assert pg.decode(encode(message)) == message


@given(messages, st.data())
def test_a_message_cut_short_is_refused(message: pg.Message, data: st.DataObject) -> None:
    payload = encode(message)
    cut = data.draw(st.integers(0, len(payload) - 1))
    with pytest.raises(pg.MalformedMessage):
        pg.decode(payload[:cut])


@given(messages, st.binary(min_size=1, max_size=5))
def test_bytes_after_the_end_are_refused(message: pg.Message, tail: bytes) -> None:
    with pytest.raises(pg.MalformedMessage):
        pg.decode(encode(message) + tail)


@given(st.binary(max_size=60))
def test_garbage_is_refused_or_decoded_but_nothing_else_happens(payload: bytes) -> None:
    with suppress(pg.MalformedMessage):
        assert isinstance(pg.decode(payload), tuple)


@given(oids, values)
def test_the_table_of_a_change_is_read_without_decoding_it(oid: int, new: pg.Values) -> None:
    assert pg.change_oid(encode(pg.Insert(oid, new))) == oid


def test_binary_values_are_refused() -> None:
    with pytest.raises(pg.MalformedMessage, match="value kind"):
        pg.decode(b"I" + big(7, 4) + b"N" + big(1, 2) + b"b" + big(1, 4) + b"x")
