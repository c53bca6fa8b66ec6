"""The environment of a process: what `mesh.yaml` says, read and checked."""

from mesh.config.address import Address
from mesh.config.diagnostic import Diagnostic
from mesh.config.environment import current, load
from mesh.config.spec import Environment, Gateway, Service, Telemetry

__all__ = ["Address", "Diagnostic", "Environment", "Gateway", "Service", "Telemetry", "current", "load"]
