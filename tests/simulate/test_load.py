"""A scenario's file: its defaults, and every problem with its line and path."""

import pytest

from mesh import simulate
from mesh.errors import ConfigError
from mesh.simulate.baseline import NAIVE
from mesh.simulate.scenario import Arrivals, Backends, Clients, Distribution, Event, Outage, Process
from tests.simulate.scenario import problems, scenario


def test_an_empty_file_is_the_defaults(tmp_path):
    found = scenario(tmp_path, "")

    assert ("scenario", 60.0, 0.0, 1.0, 0) == (
        found.name,
        found.duration,
        found.warm_up,
        found.slice,
        found.seed,
    )
    assert (Arrivals(), Clients(), Backends(), ()) == (
        found.arrivals,
        found.clients,
        found.backends,
        found.events,
    )
    assert found.policy.idempotent
    assert found.policy.retry is not None
    assert found.policy.circuit_breaker is not None


def test_everything_that_can_be_said(tmp_path):
    found = scenario(
        tmp_path,
        """\
        name: all of it
        duration: 20s
        warm_up: 5s
        slice: 0.5s
        seed: 7
        arrivals: {process: ARRIVAL_PROCESS_CONSTANT, rate: 10, bursts: {every: 5s, length: 0.5s, factor: 3}}
        clients: {count: 1000, timeout: 0.2s}
        backends:
          count: 2
          workers: 3
          queue: 0
          latency: {distribution: LATENCY_DISTRIBUTION_EXPONENTIAL, median: 0.1s}
          error_percent: 5
          error_code: STATUS_CODE_INTERNAL
          network_delay: 0s
          finishes_abandoned: false
        events: [{begin: 1s, length: 2s, backends: 1, outage: OUTAGE_HANG, slowdown: 2, capacity_percent: 50, load: 4}]
        idempotent: false
        """,
    )

    assert (0.5, 7, 5.0) == (found.slice, found.seed, found.warm_up)
    assert found.arrivals.process is Process.CONSTANT
    assert (5.0, 0.5, 3.0) == (
        found.arrivals.bursts.every,
        found.arrivals.bursts.length,
        found.arrivals.bursts.factor,
    )
    assert Clients(count=1000, timeout=0.2) == found.clients
    assert (0, 0.05, 13, False) == (
        found.backends.queue,
        found.backends.error_share,
        found.backends.error_code,
        found.backends.finishes_abandoned,
    )
    assert found.backends.latency.distribution is Distribution.EXPONENTIAL
    assert (
        Event(begin=1.0, end=3.0, backends=1, outage=Outage.HANG, slowdown=2.0, capacity=0.5, load=4.0),
    ) == found.events
    assert not found.policy.idempotent


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("duraton: 3s", '1: duraton: unknown field; did you mean "duration"?'),
        ("duration: 0s", '1: duration: "0s" is out of range, must be 1s to 86400s'),
        ("slice: 61s", '1: slice: "61s" is longer than the whole duration of 60s'),
        ("warm_up: 60s", '1: warm_up: "60s" leaves no slice of a duration of 60s'),
        ("clients: {count: 1001}", '1: clients.count: "1001" is out of range, must be 1 to 1000'),
        ("backends: {count: 0}", '1: backends.count: "0" is out of range, must be 1 to 1000'),
        ("arrivals: {users: 3}", "1: arrivals.users: only for ARRIVAL_PROCESS_CLOSED"),
        (
            "arrivals: {process: ARRIVAL_PROCESS_CLOSED, rate: 3}",
            "1: arrivals.rate: the users decide how often they call",
        ),
        (
            "arrivals: {bursts: {every: 1s}}",
            '1: arrivals.bursts.length: "1s" must be shorter than every 1s',
        ),
        (
            "backends: {latency: {median: 0.1s, p99: 0.01s}}",
            '1: backends.latency.p99: "0.01s" is out of range, must be at least 0.1s',
        ),
        (
            "backends: {latency: {distribution: LATENCY_DISTRIBUTION_CONSTANT, p99: 1s}}",
            "1: backends.latency.p99: only for LATENCY_DISTRIBUTION_LOGNORMAL; the others have one parameter, the median",
        ),
        (
            "events: [{begin: 1s}]",
            "1: events[0]: nothing happens: an event has one of outage, slowdown, capacity_percent, error_percent, load",
        ),
        (
            "events:\n- {load: 2}\n- {backends: 11, slowdown: 2}",
            '3: events[1].backends: "11" is out of range, must be 1 to 10',
        ),
        (
            "arrivals: {process: ARRIVAL_PROCESS_CLOSED}\nevents: [{load: 2}]",
            "2: events[0].load: the users decide how often they call",
        ),
        (
            "policy:\n  retry: {max_attempts: 99}",
            '2: policy.retry.max_attempts: "99" is out of range, must be 2 to 10',
        ),
        ("method: a.B/C", "1: method: only with an environment; a policy written here is that of one method"),
    ],
)
def test_a_problem_has_its_line_and_path(tmp_path, text, problem):
    assert [problem] == problems(tmp_path, text)


def test_require_raises_every_problem(tmp_path):
    file = tmp_path / "scenario.yaml"
    file.write_text("duration: 0s\nslice: 0s\n")

    with pytest.raises(ConfigError) as raised:
        simulate.require(file)

    assert 2 == len(raised.value.problems)


def test_a_file_that_is_not_there(tmp_path):
    found, (diagnostic,) = simulate.load(tmp_path / "nothing.yaml")

    assert found is None
    assert "cannot be read: No such file or directory" == diagnostic.message


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / "scenario.yaml").write_bytes(b"\xff")

    _, (diagnostic,) = simulate.load(tmp_path / "scenario.yaml")

    assert diagnostic.message.startswith("not UTF-8: ")


def test_an_override_wins_field_by_field(tmp_path):
    found = scenario(tmp_path, "policy: {retry: {max_attempts: 5, attempt_timeout: 0.1s}}", NAIVE)

    assert (3, 0.1) == (found.policy.retry.max_attempts, found.policy.retry.attempt_timeout)
    assert found.policy.circuit_breaker is None


ENVIRONMENT = """\
services:
  - {name: shop, serves: [shop.v1.Shop], dns: "shop.internal:50051"}
descriptors: [shop.binpb]
policies:
  defaults: {retry: {max_attempts: 4}}
  services:
  - service: shop.v1.Shop
    policy: {server_concurrency: {max_in_flight: 9}}
"""


@pytest.fixture
def shop(tmp_path):
    """An environment whose protos say that one method is idempotent."""
    from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, MethodOptions

    file = FileDescriptorProto(name="shop.proto", package="shop.v1", syntax="proto3")
    file.message_type.add(name="Item")
    service = file.service.add(name="Shop")
    get = service.method.add(name="Get", input_type=".shop.v1.Item", output_type=".shop.v1.Item")
    get.options.idempotency_level = MethodOptions.NO_SIDE_EFFECTS
    service.method.add(name="Buy", input_type=".shop.v1.Item", output_type=".shop.v1.Item")
    service.method.add(
        name="Watch", input_type=".shop.v1.Item", output_type=".shop.v1.Item", server_streaming=True
    )
    (tmp_path / "shop.binpb").write_bytes(FileDescriptorSet(file=[file]).SerializeToString())
    (tmp_path / "mesh.yaml").write_text(ENVIRONMENT)
    return tmp_path


def test_the_policy_of_a_method_of_an_environment(shop):
    found = scenario(shop, "environment: mesh.yaml\nmethod: shop.v1.Shop/Get")

    assert "/shop.v1.Shop/Get" == found.method
    assert (4, 9) == (found.policy.retry.max_attempts, found.policy.server_concurrency.max_in_flight)
    assert found.policy.idempotent


def test_an_override_of_a_method_that_has_no_policy_of_its_own(shop):
    (shop / "mesh.yaml").write_text(ENVIRONMENT.partition("  services:\n  - service:")[0])

    assert (
        scenario(shop, "environment: mesh.yaml\nmethod: shop.v1.Shop/Get", NAIVE).policy.circuit_breaker
        is None
    )


def test_an_override_wins_over_what_the_environment_says_of_the_method(shop):
    found = scenario(shop, "environment: mesh.yaml\nmethod: shop.v1.Shop/Buy", NAIVE)

    assert (3, None) == (found.policy.retry.max_attempts, found.policy.server_concurrency)
    assert not found.policy.idempotent


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("method: shop.v1.Shop/Got", '2: method: "shop.v1.Shop/Got" is not a method of the descriptors of mesh.yaml; did you mean "shop.v1.Shop/Get"?'),
        ("method: shop.v1.Shop/Watch", '2: method: "shop.v1.Shop/Watch" streams; only calls with one request and one response are modelled'),
        ("method: shop.v1.Shop/Get\npolicy: {}", "3: policy: not with an environment, which says it"),
        ("method: shop.v1.Shop/Get\nidempotent: true", "3: idempotent: not with an environment, which says it"),
    ],
)  # fmt: skip
def test_problems_of_a_method_of_an_environment(shop, text, problem):
    assert [problem] == problems(shop, f"environment: mesh.yaml\n{text}")


def test_problems_of_the_environment(shop):
    (shop / "mesh.yaml").write_text(ENVIRONMENT.replace("max_attempts: 4", "max_attempts: 99"))

    (problem,) = problems(shop, "environment: mesh.yaml\nmethod: shop.v1.Shop/Get")

    assert problem.startswith("1: environment: ")
    assert problem.endswith('policies.defaults.retry.max_attempts: "99" is out of range, must be 2 to 10')


def test_descriptors_that_are_none(shop):
    (shop / "shop.binpb").write_bytes(b"\xff\xff")

    (problem,) = problems(shop, "environment: mesh.yaml\nmethod: shop.v1.Shop/Get")

    assert problem.startswith("1: environment: the descriptors cannot be read: ")


def test_an_environment_that_is_not_there(tmp_path):
    (problem,) = problems(tmp_path, "environment: mesh.yaml\nmethod: a.B/C")

    assert problem.endswith("cannot be read: No such file or directory")
