"""How protoc's complaints are worded for people: protoc's real lines in, ours out."""

import pytest

from mesh.generate.failure import clean

ROWS = [
    (
        'a/v1/a.proto:3:8: "B" is not defined.',
        ['protos/a/v1/a.proto:3:8: "B" is not defined'],
        [],
    ),
    (
        "a/v1/a.proto:3:1: warning: Import b.proto is unused.",
        [],
        ["protos/a/v1/a.proto:3:1: warning: Import b.proto is unused"],
    ),
    # An import that is not there is said once, where it is written, with where it was looked for.
    (
        'b.proto: File not found.\na.proto:3:1: Import "b.proto" was not found or had errors.\na.proto:5:9: "B" is not defined.',
        ['protos/a.proto:3:1: import "b.proto" is in none of protos, other', 'protos/a.proto:5:9: "B" is not defined'],
        [],
    ),
    # What only follows from another file's error is left out.
    (
        'b.proto:2:1: Expected ";".\na.proto:3:1: Import "b.proto" was not found or had errors.',
        ['protos/b.proto:2:1: Expected ";"'],
        [],
    ),
    ("a.proto: Something about the file.", ["protos/a.proto: Something about the file"], []),
    ("--mypy_out: protoc-gen-mypy: Plugin failed with status code 1.", ["--mypy_out: protoc-gen-mypy: Plugin failed with status code 1."], []),
    ("a.proto:1:1: X.\na.proto:1:1: X.", ["protos/a.proto:1:1: X"], []),
]  # fmt: skip


@pytest.mark.parametrize(("stderr", "errors", "warnings"), ROWS)
def test_protoc_lines_become_lines_for_people(stderr, errors, warnings):
    assert (errors, warnings) == clean(stderr, lambda name: f"protos/{name}", ["protos", "other"])
