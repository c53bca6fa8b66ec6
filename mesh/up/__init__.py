"""A whole environment on one machine: started in order, watched, restarted, stopped."""

from mesh.up.measure import Row
from mesh.up.supervisor import StartError, Supervisor

__all__ = ["Row", "StartError", "Supervisor"]
