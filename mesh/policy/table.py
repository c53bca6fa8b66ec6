"""Which policy holds for which method: annotations < defaults < service < method, checked once at load."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from google.protobuf import descriptor_pool

from mesh.policy import annotation, consistency, endpoint, fallback
from mesh.policy.connection import ConnectionPolicy
from mesh.policy.merge import builtin, merge
from mesh.policy.policy import Policy
from mesh.policy.problem import Problem, Problems, suggest
from mesh.v1 import config_pb2, policy_pb2


class PolicyTable:
    """The policies of an environment; immutable. Look-ups merge and read, so callers keep what they get."""

    __slots__ = ("_defaults", "_methods", "_services", "pool")

    def __init__(
        self,
        defaults: policy_pb2.Policy | None = None,
        services: Mapping[str, policy_pb2.Policy] | None = None,
        methods: Mapping[str, policy_pb2.Policy] | None = None,
        pool: descriptor_pool.DescriptorPool | None = None,
    ) -> None:
        self._defaults = defaults or policy_pb2.Policy()
        self._services = dict(services or {})
        self._methods = dict(methods or {})
        self.pool = pool
        """Where annotations are looked up; None: where imported stubs are registered."""

    def policy(self, method: str, at: Problems | None = None) -> Policy:
        """Return the effective policy of `/package.Service/Method`.

        Problems of its annotations, which `load` cannot see without descriptors, are added to `at`.
        """
        noted = annotation.find(method, self.pool)
        at = Problems(method) if at is None else at
        merged = self._merged(method, noted)
        for layer in (noted.service, noted.method):
            _check_annotation(layer, at)
            endpoint.check_annotation(layer, merged, at)
        consistency.check_merged(merged, at)
        return Policy.read(merged, at, idempotent=noted.idempotent)

    @property
    def names_otel_instrumentation(self) -> bool:
        """Whether any policy leaves its spans to opentelemetry-instrumentation-grpc."""
        layers = (self._defaults, *self._services.values(), *self._methods.values())
        return any(layer.trace.engine == policy_pb2.TRACE_ENGINE_OTEL_INSTRUMENTATION for layer in layers)

    def connection(self, services: Iterable[str] = ()) -> ConnectionPolicy:
        """Return the channel settings for a target that serves these gRPC services, the first that has any winning."""
        merged = merge(builtin(), self._defaults)
        for service in reversed(tuple(services)):
            merged = merge(merged, self._services.get(service, policy_pb2.Policy()))
        return endpoint.connect(merged, Problems())

    def _merged(self, method: str, noted: annotation.Annotation) -> policy_pb2.Policy:
        service = method.lstrip("/").partition("/")[0]
        empty = policy_pb2.Policy()
        return merge(
            builtin(),
            noted.service,
            noted.method,
            self._defaults,
            self._services.get(service, empty),
            self._methods.get(method, empty),
        )

    def __repr__(self) -> str:
        return f"<PolicyTable services={len(self._services)} methods={len(self._methods)}>"


def load(
    policies: config_pb2.Policies,
    at: Problems | None = None,
    pool: descriptor_pool.DescriptorPool | None = None,
) -> tuple[PolicyTable, list[Problem]]:
    """Read an environment's policies; return the table and every problem, each with its path.

    With a pool that holds the environment's descriptors, names of services and methods are checked too.
    """
    at = at or Problems("policies")
    services: dict[str, policy_pb2.Policy] = {}
    methods: dict[str, policy_pb2.Policy] = {}
    _check(policies.defaults, policy_pb2.Policy(), at.field("defaults"))
    for index, entry in enumerate(policies.services):
        here = at.field("services").item(index)
        if not entry.service:
            here.field("service").add("a service policy needs the full name of its service")
        elif entry.service in services:
            here.field("service").add(f'"{entry.service}" has a policy already; write one for each service')
        _check_service(entry.service, here.field("service"), pool)
        services[entry.service] = entry.policy
        _check(entry.policy, policies.defaults, here.field("policy"))
        own = {method.method for method in entry.methods if method.policy.HasField("fallback")}
        fallback.check(entry.policy, entry.service, own, pool, here.field("policy").field("fallback"))
        below = merge(policies.defaults, entry.policy)
        for number, method in enumerate(entry.methods):
            there = here.field("methods").item(number)
            name = f"/{entry.service}/{method.method}"
            if not method.method:
                there.field("method").add("a method policy needs the name of its method")
            elif name in methods:
                there.field("method").add(
                    f'"{method.method}" has a policy already; write one for each method'
                )
            _check_method(entry.service, method.method, there.field("method"), pool)
            if method.policy.HasField("connection"):
                there.field("policy").field("connection").add(
                    "connection settings hold for the whole service; write them in the service's policy"
                )
            endpoint.check_method(method.policy, below, there.field("policy"))
            methods[name] = method.policy
            _check(method.policy, below, there.field("policy"))
            merged = merge(below, method.policy)
            if method.policy.HasField("fallback"):
                fallback.check_method(merged, name, pool, there.field("policy").field("fallback"))
    return PolicyTable(policies.defaults, services, methods, pool), at.list


def _check(own: policy_pb2.Policy, below: policy_pb2.Policy, at: Problems) -> None:
    """Report what is wrong with a layer by itself; if nothing is, what it makes wrong on top of the layers below.

    What it lacks by itself, the layers below may have.
    """
    consistency.check_layer(own, at)
    merged = _problems(merge(below, own), at.path)
    alone = [problem for problem in _problems(own, at.path) if problem in merged]
    if alone:
        at.list.extend(alone)
        return
    known = set(_problems(below, at.path))
    at.list.extend(problem for problem in merged if problem not in known)


def _problems(policy: policy_pb2.Policy, path: str) -> list[Problem]:
    found = Problems(path)
    Policy.read(policy, found)
    ConnectionPolicy.read(policy.connection, found.field("connection"))
    endpoint.check(policy, found)
    consistency.check_merged(merge(builtin(), policy), found)
    return found.list


def _check_annotation(layer: policy_pb2.Policy, at: Problems) -> None:
    """Refuse what a proto cannot decide, because it is decided before any method of it is called."""
    consistency.check_layer(layer, at)
    if layer.HasField("connection"):
        at.field("connection").add(
            "a proto cannot set how channels connect; write it in the environment's policies"
        )
    if layer.trace.engine == policy_pb2.TRACE_ENGINE_OTEL_INSTRUMENTATION:
        at.field("trace").field("engine").add(
            "a proto cannot choose who makes the spans; write it in the environment's policies"
        )


def _check_service(name: str, at: Problems, pool: descriptor_pool.DescriptorPool | None) -> None:
    if pool is None or not name:
        return
    try:
        pool.FindServiceByName(name)
    except KeyError:
        at.add(f'"{name}" is not a service of the descriptors')


def _check_method(service: str, name: str, at: Problems, pool: descriptor_pool.DescriptorPool | None) -> None:
    if pool is None or not name:
        return
    try:
        known = pool.FindServiceByName(service).methods_by_name
    except KeyError:
        return
    if name not in known:
        at.add(f'"{name}" is not a method of {service}{suggest(name, known)}')
