"""`mesh explain`: the chain that runs is the chain that is printed, and wrong names get a suggestion."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from mesh.cli import main
from tests.protoc import compile_protos

PROTO = """
syntax = "proto3";
package shop.v1;
import "gateway/v1/annotations.proto";
import "mesh/v1/annotations.proto";
message Empty {}
service Shop {
  option (mesh.v1.service_policy) = { circuit_breaker: { window: { seconds: 7 } } };
  rpc Get(Empty) returns (Empty) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (mesh.v1.method_policy) = { retry: { max_attempts: 2 } };
  }
  rpc Buy(Empty) returns (Empty);
  rpc Watch(Empty) returns (stream Empty);
  rpc Page(Empty) returns (Empty) {
    option (gateway.v1.compose) = { steps: { name: "buy" call: "shop.v1.Shop/Buy" } };
  }
}
"""

CONFIG = """
descriptors: [shop.binpb]
services:
- {name: shop, serves: [shop.v1.Shop], endpoints: [127.0.0.1:50051]}
policies:
  defaults: {retry: {max_attempts: 3, codes: [STATUS_CODE_ABORTED]}}
  services:
  - service: shop.v1.Shop
    policy: {connection: {load_balancing: LOAD_BALANCING_WEIGHTED_ROUND_ROBIN}}
    methods:
    - {method: Get, policy: {deadline: {default_timeout: 0.5s}, retry: {max_attempts: 4}}}
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.proto").write_text(PROTO)
    (folder / "mesh.yaml").write_text(CONFIG)
    (folder / "shop.binpb").write_bytes(compile_protos(folder))
    return folder / "mesh.yaml"


def explain(environment, *arguments):
    return CliRunner().invoke(main, ["explain", str(environment), *arguments])


def test_a_chain_with_its_values_and_reasons(environment):
    result = explain(environment, "shop.v1.Shop/Get", "--side", "client")

    assert 0 == result.exit_code
    lines = result.output.splitlines()
    assert "shop.v1.Shop/Get (client, unary_unary) to shop" == lines[0]
    order = [line.split()[1] for line in lines if line.startswith(("  call ", "  between ", "  attempt "))]
    assert [
        "trace", "metrics", "deadline", "retry", "circuit_breaker", "client_concurrency", "attempt_metrics",
    ] == order  # fmt: skip
    assert "default 0.5s" in result.output
    assert "4 attempts on ABORTED (the proto says it is idempotent)" in result.output
    assert "because each attempt must ask the breaker again" in result.output
    assert "weighted_round_robin" in result.output


def test_sampling_is_the_environments(environment):
    exporting = environment.with_name("exporting.yaml")
    exporting.write_text(CONFIG + "telemetry: {otlp_endpoint: 'http://127.0.0.1:4318', trace_ratio: 0.25}\n")

    assert "25.00% of new traces" in explain(exporting, "shop.v1.Shop/Get", "--side", "client").output
    assert "by the SDK's sampler" in explain(environment, "shop.v1.Shop/Get", "--side", "client").output


def test_what_is_absent_says_why(environment):
    keyless = environment.with_name("keyless.yaml")
    keyless.write_text(
        CONFIG.replace("retry: {max_attempts: 3,", "retry: {max_attempts: 3, idempotency_key: false,")
    )

    result = explain(keyless, "shop.v1.Shop/Buy", "--side", "client")

    assert "retry (the proto does not say the method is idempotent (idempotency_level)" in result.output


def test_a_stream_has_no_default_deadline(environment):
    assert "no default" in explain(environment, "shop.v1.Shop/Watch", "--side", "server").output


def test_why_names_who_wrote_each_field_and_who_lost(environment):
    output = explain(environment, "shop.v1.Shop/Get", "--why").output
    why = [" ".join(line.split()) for line in output[output.index("\npolicy:") :].splitlines()]

    for line in (
        "retry.max_attempts 4 mesh.yaml:11 services[0].methods[0].policy (over defaults 3, method option 2)",
        "retry.codes [STATUS_CODE_ABORTED] mesh.yaml:6 defaults",
        "retry.scope RETRY_SCOPE_IDEMPOTENT built in",
        "deadline.default_timeout 0.5s mesh.yaml:11 services[0].methods[0].policy",
        "circuit_breaker.window 7s shop.proto:7 service option of shop.v1.Shop",
        "connection.load_balancing LOAD_BALANCING_WEIGHTED_ROUND_ROBIN mesh.yaml:9 services[0].policy",
    ):
        assert line in why


def test_what_does_nothing_on_which_channels_is_said(environment):
    strict = environment.with_name("strict.yaml")
    strict.write_text(
        CONFIG.replace("defaults: {", "defaults: {stream: {max_age: 60s}, required: [stream], ")
    )

    output = explain(strict, "shop.v1.Shop/Watch").output

    assert "stream (a handler's thread cannot be interrupted; required: calls are refused)" in output
    assert "inert    on interceptors of your own channel: connection (" in output


def test_without_a_method_they_are_listed(environment):
    names = [f"shop.v1.Shop/{name}" for name in ("Get", "Buy", "Watch", "Page")]

    assert names == explain(environment).output.splitlines()


def test_the_plan_of_a_composed_method_comes_before_its_chain(environment):
    lines = explain(environment, "shop.v1.Shop/Page", "--side", "server").output.splitlines()

    assert ["/shop.v1.Shop/Page", "  level 1", "    buy: /shop.v1.Shop/Buy", "  response"] == lines[:4]
    assert "shop.v1.Shop/Page (server, unary_unary) in shop" in lines


def test_other_methods_have_no_plan(environment):
    assert "level" not in explain(environment, "shop.v1.Shop/Get").output


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("shop.v1.Shop/Gett", '"Gett" is not a method of shop.v1.Shop; did you mean "Get"?'),
        (
            "shop.v1.Shopp/Get",
            '"shop.v1.Shopp" is not a service of the descriptors; did you mean "shop.v1.Shop"?',
        ),
        ("Get", '"Get" is not SERVICE/METHOD, such as shop.v1.CatalogService/GetProduct'),
    ],
)
def test_wrong_names(environment, method, expected):
    result = explain(environment, method)

    assert 2 == result.exit_code
    assert expected in result.stderr


def test_a_wrong_environment_prints_every_problem(environment):
    wrong = environment.with_name("wrong.yaml")
    wrong.write_text("services: [{name: a}]\npolicies: {defaults: {retry: {max_attempts: 99}}}\nextra: 1\n")

    result = explain(wrong, "shop.v1.Shop/Get")

    assert 2 == result.exit_code
    assert "extra" in result.stderr
    assert "services[0]" in result.stderr
