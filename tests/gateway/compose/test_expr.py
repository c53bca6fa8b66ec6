"""The grammar of expressions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.compose.expr import ExpressionError, Literal, Path, Segment, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"text"', "text"),
        ("'text'", "text"),
        ('""', ""),
        ("'say \"hi\"'", 'say "hi"'),
        (r'"a\"b\\c\n\t\'"', "a\"b\\c\n\t'"),
        ("12", 12),
        ("-3", -3),
        ("007", 7),
        ("1.5", 1.5),
        ("-1.5e3", -1500.0),
        ("1e3", 1000.0),
        ("123456789012345678901", 123456789012345678901.0),
        ("true", True),
        ("false", False),
        ("  12  ", 12),
    ],
)
def test_literals(text, value):
    parsed = parse(text)
    assert parsed == Literal(value)
    assert type(parsed.value) is type(value)


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("catalog", (Segment("catalog"),)),
        ("request.product_id", (Segment("request"), Segment("product_id"))),
        ("reviews[]", (Segment("reviews", each=True),)),
        ("a.b[].c[].d", (Segment("a"), Segment("b", each=True), Segment("c", each=True), Segment("d"))),
        ("truest", (Segment("truest"),)),
        ("KIND_BOOK", (Segment("KIND_BOOK"),)),
    ],
)
def test_paths(text, segments):
    assert parse(text) == Path(segments)
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'is empty: write a path such as "request.id", or a literal'),
        ("  ", 'is empty: write a path such as "request.id", or a literal'),
        ('"open', '"open is not one closed string'),
        ("\"one\" 'two'", "\"one\" 'two' is not one closed string"),
        (r'"a\x"', r""""a\x" has the unknown escape \x; known are \" \' \\ \n \t"""),
        ("-", '"-" is not a number'),
        ("1.", '"1." is not a number'),
        ("1e999", "1e999 is out of the range of double"),
        ("12px", '"12px" is not a number'),
        ("1_000", '"1_000" is not a number'),
        ("request..id", '"request..id" has no name at column 9'),
        ("request.", '"request." has no name at column 9'),
        (".id", '".id" has no name at column 1'),
        ("request.ids[0]", "\"request.ids[0]\" has an unexpected '[' at column 12"),
        ("request.ids[]x", "\"request.ids[]x\" has an unexpected 'x' at column 14"),
        ("a b", "\"a b\" has an unexpected ' ' at column 2"),
        ("a + b", "\"a + b\" has an unexpected ' ' at column 2"),
    ],
)
def test_errors_say_where(text, message):
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert str(caught.value) == message


@given(st.text(alphabet="ab_.[]\"'\\-+1e \té", max_size=12))
def test_any_text_parses_or_is_refused(text):
    """Nothing else is raised, and a path is written as it was read."""
    try:
        parsed = parse(text)
    except ExpressionError:
        return
    if isinstance(parsed, Path):
        assert str(parsed) == text.strip()
