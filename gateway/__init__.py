"""The edge: an ASGI application that answers REST with gRPC.

gateway.load     from an environment or a backend to a schema, routes and plans, with every problem
gateway.app      the ASGI application
gateway.server   the packaged server around it
"""

from gateway.app import Gateway
from gateway.problem import RequestProblem, Violation

__all__ = ["Gateway", "RequestProblem", "Violation"]
