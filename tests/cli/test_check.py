"""`mesh check`: everything that is wrong with an environment, wherever it is written, in one run."""

import json
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from mesh.cli.inspection import inspect

pytestmark = pytest.mark.slow

SHOP = """\
syntax = "proto3";
package shop.v1;
import "google/api/annotations.proto";
import "gateway/v1/annotations.proto";
import "mesh/v1/annotations.proto";
service ShopService {
  rpc GetItem(GetItemRequest) returns (Item) {
    option (google.api.http) = {get: "/items/{id}"};
    option idempotency_level = NO_SIDE_EFFECTS;
  }
}
service PageService {
  rpc GetPage(GetItemRequest) returns (Page) {
    option (google.api.http) = {get: "/pages/{id}"};
    option (gateway.v1.compose) = {
      steps: [{name: "item", call: "shop.v1.ShopService/GetItem", request: [{field: "id", value: "request.id"}]}]
      response: [{field: "item", value: "item"}]
    };
  }
}
message GetItemRequest { string id = 1; }
message Item { string id = 1; }
message Page { Item item = 1; }
"""
ENVIRONMENT = """\
services:
  - name: shop
    serves: [shop.v1.ShopService]
    dns: shop.internal:50051
gateway: {listen: "127.0.0.1:0"}
descriptors: [descriptors.binpb]
"""


@pytest.fixture
def shop(tmp_path, monkeypatch, mesh):
    """Return what makes the descriptors and writes the environment."""
    monkeypatch.chdir(tmp_path)

    def write(proto=SHOP, environment=ENVIRONMENT):
        file = tmp_path / "protos/shop/v1/shop.proto"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(proto)
        done = mesh("generate", "protos")
        assert done.returncode == 0, done.stderr
        (tmp_path / "mesh.yaml").write_text(environment)

    return write


def problems():
    return [str(diagnostic) for diagnostic in inspect("mesh.yaml").diagnostics]


def test_says_what_there_is_when_nothing_is_wrong(shop, mesh):
    shop()

    done = mesh("check")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "mesh.yaml: ok: 1 service (0 instances to start), 2 routes, 1 composition\n"


def test_prints_every_problem_and_exits_with_2(shop, mesh):
    shop(
        SHOP.replace("/items/{id}", "/items/{ident}").replace('value: "request.id"', 'value: "request.idd"'),
        ENVIRONMENT.replace("serves: [shop", "serves: [shopp")
        + "policies: {defaults: {retry: {max_attempts: 99}}}\n",
    )

    done = mesh("check")

    assert done.returncode == 2
    assert done.stdout == ""
    found = done.stderr.splitlines()
    assert 'mesh.yaml:3: services[0].serves[0]: "shopp.v1.ShopService" is not a service of the descriptors; did you mean "shop.v1.ShopService"?' in found  # fmt: skip
    assert any(line.startswith("mesh.yaml:7: policies.defaults.retry.max_attempts: ") for line in found)
    assert any(
        line.startswith("shop/v1/shop.proto:13: shop.v1.PageService.GetPage (gateway.v1.compose)")
        for line in found
    )
    assert "Traceback" not in done.stderr


def test_problems_of_routes_are_placed_in_the_proto(shop):
    shop(SHOP.replace("/items/{id}", "/items/{ident}"))

    (problem,) = problems()
    assert problem.startswith("shop/v1/shop.proto:7: shop.v1.ShopService.GetItem (google.api.http).get: ")


def test_problems_of_policies_in_protos_are_placed_there(shop):
    shop(SHOP.replace("option idempotency_level", "option (mesh.v1.method_policy).retry.max_attempts = 99;\n    option idempotency_level"))  # fmt: skip

    (problem,) = problems()
    assert problem.startswith("shop/v1/shop.proto:7: shop.v1.ShopService.GetItem (mesh.v1 policy)")
    assert "99" in problem


def test_names_in_policies_are_checked_against_descriptors(shop):
    shop(environment=ENVIRONMENT + "policies:\n  services:\n  - service: shop.v1.ShopService\n    methods: [{method: GetItm}]\n")  # fmt: skip

    assert problems() == [
        'mesh.yaml:10: policies.services[0].methods[0].method: "GetItm" is not a method of shop.v1.ShopService; did you mean "GetItem"?'
    ]


def test_a_default_fallback_must_fit_every_method_that_has_none_of_its_own(shop):
    shop(
        environment=ENVIRONMENT
        + "policies:\n  defaults: {fallback: {method: GetItem}}\n"
        + "  services: [{service: shop.v1.ShopService, policy: {fallback: {enabled: false}}}]\n"
    )

    (problem,) = problems()
    assert problem.startswith(
        "mesh.yaml:8: policies.defaults.fallback.method: /shop.v1.PageService/GetPage: "
    )
    assert '"GetItem" is not a method of shop.v1.PageService' in problem


def test_what_the_gateway_exposes_must_be_there_and_served(shop):
    shop(environment=ENVIRONMENT.replace('0"}', '0", services: [shop.v1.Nothing, shop.v1.ShopService]}').replace("    serves: [shop.v1.ShopService]\n", ""))  # fmt: skip

    nothing, item = problems()
    assert '"shop.v1.Nothing" is not a service of the ' in nothing
    assert item.startswith("shop/v1/shop.proto:7: shop.v1.ShopService/GetItem: ")
    assert item.endswith("no service of the environment lists shop.v1.ShopService in its `serves`")


def test_a_gateway_needs_descriptors(shop):
    shop(environment=ENVIRONMENT.replace("descriptors: [descriptors.binpb]\n", ""))

    (problem,) = problems()
    assert problem.startswith("mesh.yaml: descriptors: is empty")


def test_what_is_no_descriptor_set_is_said(shop):
    shop()
    Path("descriptors.binpb").write_bytes(b"\xff\xff\xff")

    assert problems() == [
        'mesh.yaml:6: descriptors[0]: "descriptors.binpb" is not a descriptor set; `mesh generate` makes one'
    ]


def test_descriptor_sets_that_contradict_each_other(shop):
    shop(environment=ENVIRONMENT.replace("[descriptors.binpb]", "[descriptors.binpb, older.binpb]"))
    described = FileDescriptorSet.FromString(Path("descriptors.binpb").read_bytes())
    next(file for file in described.file if file.name == "shop/v1/shop.proto").message_type.add(name="Old")
    Path("older.binpb").write_bytes(described.SerializeToString())

    assert any("shop/v1/shop.proto: is given twice, with different contents" in line for line in problems())


def test_problems_as_json(shop, mesh):
    shop(environment="services: [{name: a}]\n")

    done = mesh("check", "mesh.yaml", "--format", "json")

    assert done.returncode == 2
    assert json.loads(done.stdout) == {
        "ok": False,
        "problems": [
            {
                "file": "mesh.yaml",
                "line": 1,
                "column": None,
                "path": "services[0]",
                "message": "a service has one of command, endpoints and dns, and there is none of them",
            }
        ],
        "routes": 0,
        "compositions": 0,
    }


def test_a_file_that_is_not_there(mesh, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    done = mesh("check")

    assert (done.returncode, done.stderr) == (2, "mesh.yaml: cannot be read: No such file or directory\n")
