"""What a policy does to a fleet, tried out in virtual time: `simulate.run(simulate.require("scenario.yaml"))`."""

from mesh.simulate.fleet import run
from mesh.simulate.load import load, require
from mesh.simulate.result import Circuits, Result, Slice, Summary
from mesh.simulate.scenario import Scenario

__all__ = ["Circuits", "Result", "Scenario", "Slice", "Summary", "load", "require", "run"]
