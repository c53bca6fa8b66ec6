"""Where circuits of single endpoints may be asked for: for a whole service, and beside nothing else that ejects endpoints.

gRPC's core enforces them as outlier detection, which belongs to a channel: it is the same for every method that is called
over it, and it is there once.
"""

from __future__ import annotations

import dataclasses

from mesh.policy import read
from mesh.policy.breaker import BreakerPolicy
from mesh.policy.connection import ConnectionPolicy
from mesh.policy.problem import Problems
from mesh.v1 import policy_pb2


def holds(policy: policy_pb2.Policy) -> bool:
    """Whether the policy's circuits are about endpoints."""
    circuit = policy.circuit_breaker
    return circuit.scope == policy_pb2.CIRCUIT_BREAKER_SCOPE_ENDPOINT and read.flag(
        circuit, "enabled", default=True
    )


def check(policy: policy_pb2.Policy, at: Problems) -> None:
    """Refuse circuits of endpoints where endpoints are ejected already, or cannot be."""
    if not holds(policy):
        return
    scope, connection = at.field("circuit_breaker").field("scope"), policy.connection
    if connection.HasField("outlier_detection") and read.flag(
        connection.outlier_detection, "enabled", default=True
    ):
        scope.add("`connection.outlier_detection` ejects endpoints already; write one of the two")
    if connection.load_balancing == policy_pb2.LOAD_BALANCING_PICK_FIRST:
        scope.add("with pick_first there is nothing to eject; balance by round robin")


def check_method(own: policy_pb2.Policy, below: policy_pb2.Policy, at: Problems) -> None:
    """Refuse what a method says about circuits where they are about endpoints, or would be."""
    if own.HasField("circuit_breaker") and (holds(own) or holds(below)):
        at.field("circuit_breaker").add(
            "circuits of single endpoints hold for the whole service; write them in the service's policy"
        )


def check_annotation(layer: policy_pb2.Policy, environment: policy_pb2.Policy, at: Problems) -> None:
    """Refuse what a proto says about circuits that are, or would be, a setting of channels."""
    if layer.HasField("circuit_breaker") and (holds(layer) or holds(environment)):
        at.field("circuit_breaker").add(
            "a proto cannot decide on circuits of single endpoints; write them in the environment's policies"
        )


def connect(policy: policy_pb2.Policy, at: Problems) -> ConnectionPolicy:
    """Read the settings of a channel, circuits of endpoints among them."""
    connection = ConnectionPolicy.read(policy.connection, at.field("connection"))
    circuit = BreakerPolicy.read(policy.circuit_breaker, at.field("circuit_breaker"))
    outlier = None if circuit is None else circuit.outlier
    return connection if outlier is None else dataclasses.replace(connection, outlier=outlier)
