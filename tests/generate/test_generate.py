"""From a folder of protos to Python that imports, in every layout that can work; words for those that cannot."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

import mesh
from mesh.generate import GenerateError, Request, generate

pytestmark = pytest.mark.slow

CATALOG = """\
syntax = "proto3";
package catalog.v1;
import "catalog/v1/types.proto";
import "google/api/annotations.proto";
import "mesh/v1/annotations.proto";
// Knows products.
service CatalogService {
  rpc GetProduct(GetProductRequest) returns (Product) {
    option (google.api.http) = {get: "/products/{id}"};
    option (mesh.v1.method_policy).deadline.default_timeout = {seconds: 1};
  }
}
message GetProductRequest { string id = 1; }
"""
TYPES = 'syntax = "proto3";\npackage catalog.v1;\nmessage Product { string id = 1; }\n'


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("protos/catalog/v1/catalog.proto", CATALOG)
    write("protos/catalog/v1/types.proto", TYPES)
    return tmp_path


def write(name, text=""):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text, encoding="utf-8")


def run(*folders, out=".", **options):
    out = Path(out)
    folders = tuple(map(Path, folders or ("protos",)))
    return generate(
        Request(folders=folders, out=out, **{"descriptors": out / "descriptors.binpb", **options})
    )


def problems(*folders, **options):
    with pytest.raises(GenerateError) as caught:
        run(*folders, **options)
    return list(caught.value.problems)


def files(folder="."):
    found = (path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())
    return sorted(name for name in found if not name.startswith("protos/") and "__pycache__" not in name)


def python(code, *path):
    """Run code as the project would, in a process of its own."""
    root = str(Path(mesh.__file__).parents[1])
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([*path, root])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environ)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


USE = "from catalog.v1 import catalog_pb2_grpc as g, types_pb2; print(g.CatalogServiceStub.__name__, types_pb2.Product(id='x').id)"  # fmt: skip


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


# Layouts.


def test_generates_into_a_package_of_the_project(project):
    write("catalog/__init__.py", "HELLO = 'hello'\n")
    write("catalog/server.py", "import catalog\nfrom catalog.v1 import catalog_pb2\n")

    run(out=".")

    assert Path("catalog/__init__.py").read_text() == "HELLO = 'hello'\n"
    assert python(USE + "; import catalog.server; print(catalog.HELLO)", ".") == "CatalogServiceStub x\nhello"


def test_generates_beside_the_protos(project):
    """The import root is the project itself, and the protos lie in its packages."""
    write("shop/__init__.py", "HELLO = 'hello'\n")
    write("shop/v1/shop.proto", 'syntax = "proto3";\npackage shop.v1;\nmessage A {}\n')
    Path("protos/catalog/v1/catalog.proto").unlink()
    Path("protos/catalog/v1/types.proto").unlink()

    run(".", out=".")

    assert python("import shop; from shop.v1 import shop_pb2; print(shop.HELLO)", ".") == "hello"
    assert not run(".", out=".").changed


def test_refuses_another_folder_when_the_project_has_a_package_of_the_name(project):
    write("catalog/__init__.py")

    (problem,) = problems(out="gen")
    assert problem == (
        "catalog: is a Python package of the name that gen/catalog would get, and one would hide the other; "
        "generate into it with --out ., or call the folder of the protos otherwise"
    )
    assert not Path("gen").exists()


def test_refuses_another_folder_when_the_project_has_it_under_src(project):
    write("src/catalog/__init__.py")

    assert problems(out="gen")[0].startswith("src/catalog: is a Python package")
    run(out="src")
    assert python(USE, "src") == "CatalogServiceStub x"


@pytest.mark.parametrize("path", [("gen", "."), (".", "gen")])
def test_shares_a_name_with_a_folder_of_python_without_init(project, path):
    """Python puts namespace packages together, whatever the order; an `__init__.py` of ours would hide the other's."""
    write("catalog/server.py", "HELLO = 'hello'\n")

    run(out="gen")

    assert not Path("gen/catalog/__init__.py").exists()
    assert (
        python(USE + "; from catalog import server; print(server.HELLO)", *path)
        == "CatalogServiceStub x\nhello"
    )


def test_refuses_to_hide_modules(project):
    write("catalog.py")

    assert problems(out=".") == [
        "catalog.py: would be hidden by a package of its name beside it; rename one of them"
    ]
    assert problems(out="gen") == [
        "catalog.py: would be hidden by, or hide, the package gen/catalog; rename one of them"
    ]


def test_refuses_names_of_installed_packages_and_of_python_itself(project):
    write("protos/email/v1/a.proto", 'syntax = "proto3";\npackage email.v1;\nmessage A {}\n')
    write("protos/click/v1/a.proto", 'syntax = "proto3";\npackage click.v1;\nmessage A {}\n')

    click, email = problems(out="gen")

    assert "is a Python package of the name that gen/click would get" in click
    assert "--out" not in click
    assert email == "email: is a module of Python itself; call the folder of the protos otherwise"


def test_joins_a_namespace_that_is_installed(project):
    """`google` is a namespace package: an `__init__.py` of ours would hide google.protobuf."""
    write("protos/google/shop/v1/a.proto", 'syntax = "proto3";\npackage google.shop.v1;\nmessage A {}\n')

    run(out="gen")

    assert python("from google.shop.v1 import a_pb2; import google.protobuf; print(a_pb2.A())", "gen") == ""


def test_vendored_copies_of_installed_protos_are_imported_and_not_generated(project):
    write("protos/google/api/annotations.proto", "this is not even a proto")
    write("protos/mesh/v1/policy.proto", "nor is this")

    run(out="gen")

    assert not Path("gen/google").exists()
    assert not Path("gen/mesh").exists()


RULED = """\
syntax = "proto3";
package catalog.v1;
import "buf/validate/validate.proto";
message Product { string id = 1 [(buf.validate.field).string.min_len = 1]; }
"""


def test_rules_of_requests_need_no_proto_of_the_users(project):
    write("protos/catalog/v1/types.proto", RULED)

    run(out="gen")

    assert "gen/buf/validate/validate_pb2.py" in [f"gen/{name}" for name in files("gen")]
    assert "CatalogServiceStub x" == python(USE, "gen")
    rules = "import protovalidate; from catalog.v1 import types_pb2 as t; print(len(protovalidate.collect_violations(t.Product())))"
    assert "1" == python(rules, "gen")
    assert not run(out="gen").changed


def test_a_copy_of_the_rules_proto_comes_first(project):
    write("protos/catalog/v1/types.proto", RULED)
    write(
        "vendored/buf/validate/validate.proto",
        'syntax = "proto2";\npackage buf.validate;\nimport "google/protobuf/descriptor.proto";\n'
        "message Text { optional uint64 min_len = 2; }\nmessage Rules { optional Text string = 14; }\n"
        "extend google.protobuf.FieldOptions { optional Rules field = 1159; }\n",
    )

    run(out="gen", includes=(Path("vendored"),))

    assert not Path("gen/buf").exists()


def test_rules_without_protovalidate_are_refused_with_what_to_install(project, monkeypatch):
    write("protos/catalog/v1/types.proto", RULED)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "protovalidate" else True)

    assert [
        "protos/catalog/v1/types.proto: buf/validate/validate.proto comes with protovalidate: pip install 'grpc-mesh[validation]'"
    ] == problems(out="gen")


def test_several_folders(project):
    write("more/stock/v1/stock.proto", 'syntax = "proto3";\npackage stock.v1;\nimport "catalog/v1/types.proto";\nmessage A { catalog.v1.Product p = 1; }\n')  # fmt: skip

    assert run("protos", "more", out="gen").protos == 3
    assert python("from stock.v1 import stock_pb2; print(stock_pb2.A())", "gen") == ""


# What is refused.


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
