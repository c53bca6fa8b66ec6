"""What `mesh generate` refuses, in words that say what to do."""

from pathlib import Path

import pytest

from tests.generate.project import TYPES, problems, run, write

pytestmark = pytest.mark.slow


def test_protoc_errors_have_the_file_as_the_user_knows_it(project):
    write("protos/catalog/v1/types.proto", 'syntax = "proto3";\npackage catalog.v1;\nimport "nope.proto";\nmessage Product { strng id = 1 }\n')  # fmt: skip

    found = problems(out="gen")

    assert 'protos/catalog/v1/types.proto:4:32: Expected ";"' in found
    assert not [line for line in found if "had errors" in line]
    assert not Path("gen").exists()


def test_a_missing_import_says_where_it_was_looked_for(project):
    write("protos/catalog/v1/types.proto", TYPES + 'import "nope.proto";\n')

    assert 'protos/catalog/v1/types.proto:4:1: import "nope.proto" is in none of protos' in problems(
        out="gen"
    )


def test_what_is_no_text_or_cannot_be_read_is_said_without_protoc(project):
    Path("protos/latin.proto").write_bytes(b'syntax = "proto3";\n// caf\xe9\n')
    Path("protos/loop.proto").symlink_to("loop.proto")

    assert problems() == [
        "protos/latin.proto:2:7: not UTF-8, as protos are",
        "protos/loop.proto: cannot be read: Too many levels of symbolic links",
    ]


def test_refuses_folders_that_python_cannot_import(project):
    write("protos/shop/class/v1/c.proto", 'syntax = "proto3";\nmessage C {}\n')

    assert problems() == [
        "shop/class: Python cannot import a keyword; call the folder of the protos otherwise"
    ]


def test_a_folder_without_protos(project):
    Path("empty").mkdir()

    assert problems("empty") == ["empty: there is no .proto file in it"]


def test_two_protos_of_one_name(project):
    write("more/catalog/v1/types.proto", TYPES)

    assert problems("protos", "more") == [
        "more/catalog/v1/types.proto: protos/catalog/v1/types.proto is imported by the same name, catalog/v1/types.proto"
    ]


def test_never_overwrites_what_was_written_by_hand(project):
    write("gen/catalog/v1/types_pb2.py", "# mine\n")

    assert problems(out="gen") == [
        "gen/catalog/v1/types_pb2.py: is in the way, and was not generated; move it"
    ]
    assert Path("gen/catalog/v1/types_pb2.py").read_text() == "# mine\n"


def test_takes_over_what_another_tool_generated(project):
    run(out="gen")
    Path("gen/.descriptors.binpb.stamp").unlink()
    write("protos/catalog/v1/types.proto", TYPES + "message New {}")

    assert run(out="gen").changed


def test_a_run_for_part_of_a_descriptor_set_is_refused(project):
    write("more/stock/v1/stock.proto", 'syntax = "proto3";\npackage stock.v1;\nmessage A {}\n')
    run("protos", "more", out="gen")

    (problem,) = problems("protos", out="gen")
    assert problem == (
        "gen/descriptors.binpb: holds the protos of ../more too: name all folders in one run, or another file with "
        "--descriptors"
    )
