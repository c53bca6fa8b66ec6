"""Public RPCs made of backend RPCs: `compile_plans` once per schema, `execute` once per call."""

from gateway.compose.compile import compile_plan, compile_plans
from gateway.compose.execute import Invoke, execute
from gateway.compose.plan import Plan, explain
from gateway.compose.run import Omission, Result

__all__ = [
    "Invoke",
    "Omission",
    "Plan",
    "Result",
    "compile_plan",
    "compile_plans",
    "execute",
    "explain",
]
