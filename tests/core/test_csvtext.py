"""CSV: what is taken, and PostgREST's words for what is not."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.query.csvtext import CsvError, read_csv


@pytest.mark.parametrize(
    ("text", "header", "records"),
    [
        ("a,b\n", ["a", "b"], []),
        ("a,b\n1,2", ["a", "b"], [["1", "2"]]),
        ("a,b\r\n1,2\r\n", ["a", "b"], [["1", "2"]]),
        ("a,b\r1,2\r3,4", ["a", "b"], [["1", "2"], ["3", "4"]]),
        ("a\n\n1\n\n\n2\n\n", ["a"], [["1"], ["2"]]),
        ("\na\n1", [""], [["a"], ["1"]]),
        ('a\n""\n', ["a"], []),
        ("a,b\n,\n", ["a", "b"], [["", ""]]),
        ('"a","b"\n"1, ""x""\r\ny",2', ["a", "b"], [['1, "x"\r\ny', "2"]]),
        ('a\n"1', ["a"], []),
        ('a\n"x,y\n', ["a"], [["x,y"]]),
        ('a\n"x""y\n', ["a"], [['x"y']]),
        ("a\n ä ,b", ["a"], [[" ä ", "b"]]),
    ],
)
def test_what_is_read(text, header, records):
    assert read_csv(text) == (header, records)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'parse error (not enough input) at ""'),
        ("a,b", 'parse error (not enough input) at ""'),
        ('"a"', 'parse error (not enough input) at ""'),
        ('a"b\n1', r'parse error (Failed reading: satisfy) at "\"b\n1"'),
        ('"a"b\n1', r'parse error (Failed reading: satisfy) at "b\n1"'),
        ('a\nx"y\n', r'parse error (Failed reading: satisfy) at "\"y\n"'),
        ('a\n"x"ä\n', r'parse error (Failed reading: satisfy) at "\195\164\n"'),
        ('a\n"', 'parse error (Failed reading: trailing double quote) at ""'),
        ('a\n"x""', 'parse error (Failed reading: insufficient input) at ""'),
        ('a\n"x"' + "y" * 101, f"parse error (Failed reading: satisfy) at {'y' * 100} (truncated)"),
        ('a\n"x"' + "y" * 100, f'parse error (Failed reading: satisfy) at "{"y" * 100}"'),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(CsvError) as caught:
        read_csv(text)
    assert str(caught.value) == message


fields = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@given(
    st.lists(st.lists(fields, min_size=1, max_size=4), min_size=1, max_size=5),
    st.sampled_from(["ALL", "MINIMAL"]),
)
def test_what_was_written_is_read(records, quoting):
    out = io.StringIO()
    csv.writer(out, quoting=getattr(csv, f"QUOTE_{quoting}")).writerows(records)
    header, *others = records
    assert read_csv(out.getvalue()) == (header, [record for record in others if record != [""]])


@given(st.text('a,"\r\n', max_size=12))
def test_any_text_is_read_or_refused_and_quotes_make_no_other_reading(text):
    if '"' not in text:
        quoted = '"h"\n' + text
        assert read_csv("h\n" + text) == read_csv(quoted)
    try:
        header, records = read_csv(text)
    except CsvError as refusal:
        said = str(refusal)
    else:
        assert all(isinstance(field, str) for record in [header, *records] for field in record)
        return
    assert said.startswith("parse error (")
