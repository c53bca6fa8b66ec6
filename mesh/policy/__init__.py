"""What an operator intends, as frozen dataclasses."""

from mesh.policy.connection import ConnectionPolicy
from mesh.policy.policy import Policy
from mesh.policy.problem import Problem, Problems
from mesh.policy.table import PolicyTable, load

__all__ = ["ConnectionPolicy", "Policy", "PolicyTable", "Problem", "Problems", "load"]
