"""Protos become Python in every layout that can work; words for those that cannot."""

from pathlib import Path

import pytest

from tests.generate.project import USE, files, problems, python, run, write

pytestmark = pytest.mark.slow


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
