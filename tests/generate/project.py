"""A project with protos, and `mesh generate` in it as its user would run it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import mesh
from mesh.generate import GenerateError, Request, generate

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
