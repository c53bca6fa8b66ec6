"""From a folder of protos to Python that imports, written again only where something changed."""

from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from tests.generate.project import TYPES, USE, files, python, run, write

pytestmark = pytest.mark.slow


def test_makes_messages_stubs_types_and_a_descriptor_set(project):
    report = run(out="gen")

    assert (report.protos, report.files) == (2, 9)
    assert files("gen") == [
        ".descriptors.binpb.stamp",
        "catalog/__init__.py",
        "catalog/v1/__init__.py",
        "catalog/v1/catalog_pb2.py",
        "catalog/v1/catalog_pb2.pyi",
        "catalog/v1/catalog_pb2_grpc.py",
        "catalog/v1/catalog_pb2_grpc.pyi",
        "catalog/v1/types_pb2.py",
        "catalog/v1/types_pb2.pyi",
        "descriptors.binpb",
    ]
    assert python(USE, "gen") == "CatalogServiceStub x"


def test_the_descriptor_set_has_imports_and_comments(project):
    run(out="gen")

    file_set = FileDescriptorSet.FromString(Path("gen/descriptors.binpb").read_bytes())
    by_name = {file.name: file for file in file_set.file}
    assert {"google/api/http.proto", "mesh/v1/policy.proto", "google/protobuf/duration.proto"} <= set(by_name)
    comments = [
        place.leading_comments for place in by_name["catalog/v1/catalog.proto"].source_code_info.location
    ]
    assert " Knows products.\n" in comments


def test_a_second_run_does_nothing(project):
    run(out="gen")
    before = {name: Path("gen", name).stat().st_mtime_ns for name in files("gen")}

    report = run(out="gen")

    assert not report.changed
    assert before == {name: Path("gen", name).stat().st_mtime_ns for name in files("gen")}


def test_a_changed_proto_rewrites_only_what_differs(project):
    run(out="gen")
    write("protos/catalog/v1/types.proto", TYPES.replace("id = 1;", "id = 1; string name = 2;"))

    report = run(out="gen")

    assert sorted(file.name for file in report.written) == [
        "descriptors.binpb",
        "types_pb2.py",
        "types_pb2.pyi",
    ]


def test_a_changed_include_is_noticed(project):
    write("shared/common/common.proto", 'syntax = "proto3";\npackage common;\nmessage A {}\n')
    write(
        "protos/catalog/v1/types.proto",
        TYPES + 'import "common/common.proto";\nmessage X { common.A a = 1; }',
    )
    run(out="gen", includes=(Path("shared"),))
    write("shared/common/common.proto", 'syntax = "proto3";\npackage common;\nmessage A { string id = 1; }\n')

    assert run(out="gen", includes=(Path("shared"),)).changed
    assert not Path("gen/common").exists()


@pytest.mark.parametrize(
    "harm", [lambda file: file.unlink(), lambda file: file.write_text(file.read_text() + "#")]
)
def test_lost_or_edited_outputs_are_made_again(project, harm):
    run(out="gen")
    content = Path("gen/catalog/v1/types_pb2.py").read_bytes()
    harm(Path("gen/catalog/v1/types_pb2.py"))

    assert run(out="gen").changed
    assert content == Path("gen/catalog/v1/types_pb2.py").read_bytes()


def test_outputs_of_deleted_protos_go_and_nothing_else_does(project):
    write("protos/old/v1/old.proto", 'syntax = "proto3";\npackage old.v1;\nmessage A {}\n')
    write("protos/catalog/v1/more.proto", 'syntax = "proto3";\npackage catalog.v1;\nmessage B {}\n')
    run(out="gen")
    write("gen/catalog/v1/mine.py", "X = 1\n")
    Path("protos/old/v1/old.proto").unlink()
    Path("protos/catalog/v1/more.proto").unlink()

    run(out="gen")

    assert not Path("gen/old").exists()
    assert not Path("gen/catalog/v1/more_pb2.py").exists()
    assert Path("gen/catalog/v1/mine.py").exists()


def test_an_init_that_the_user_filled_is_left_alone(project):
    run(out="gen")
    write("gen/catalog/__init__.py", "NAME = 1\n")
    write("protos/catalog/v1/types.proto", TYPES + "message New {}")

    run(out="gen")

    assert Path("gen/catalog/__init__.py").read_text() == "NAME = 1\n"


def test_check_lists_what_is_not_up_to_date_and_writes_nothing(project):
    run(out="gen")
    write("protos/catalog/v1/types.proto", TYPES + "message New {}")
    before = files()

    report = run(out="gen", check=True)

    assert sorted(file.name for file in report.written) == [
        "descriptors.binpb",
        "types_pb2.py",
        "types_pb2.pyi",
    ]
    assert before == files()
    run(out="gen")
    assert not run(out="gen", check=True).changed


def test_check_does_not_trust_the_stamp(project):
    """What counts in CI is what is committed: a checkout without the stamp is checked as well."""
    run(out="gen")
    Path("gen/.descriptors.binpb.stamp").unlink()

    assert not run(out="gen", check=True).changed
