"""How bytes become lines."""

from hypothesis import given
from hypothesis import strategies as st

from mesh.up.log import Lines


def test_lines_are_whole_however_they_arrive():
    lines = Lines()

    assert lines.feed(b"a\nb") == ["a"]
    assert lines.feed(b"c\r\n\n") == ["bc", ""]
    assert lines.feed(b"rest") == []
    assert lines.end() == ["rest"]
    assert lines.end() == []


def test_bytes_that_are_no_text_are_shown_as_such():
    assert Lines().feed(b"\xff!\n") == ["\ufffd!"]


def test_a_line_without_end_is_cut():
    assert [len(line) for line in Lines().feed(b"x" * 200_000)] == [65536, 65536, 65536]


@given(st.lists(st.binary()))
def test_how_bytes_are_cut_into_pieces_makes_no_difference(pieces):
    one, many = Lines(), Lines()

    assert (
        one.feed(b"".join(pieces)) + one.end()
        == [line for piece in pieces for line in many.feed(piece)] + many.end()
    )
