"""The exceptions a user of the mesh may catch, beside grpc's own RpcError for calls that failed."""

from __future__ import annotations

from collections.abc import Iterable

from mesh.policy.problem import Problem


class MeshError(Exception):
    """Base of everything the mesh raises on its own account."""


class ConfigError(MeshError):
    """A configuration, policy or target that cannot be used; `problems` holds every reason with its path."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class ChainError(MeshError):
    """Stages that cannot be ordered: a rule of the ORDER table is broken."""
