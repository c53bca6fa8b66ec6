"""How a file becomes a Scenario: text, then proto, then checked values, with every problem on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError

from mesh.config import document, environment
from mesh.config.diagnostic import Diagnostic, locate
from mesh.errors import ConfigError
from mesh.policy.merge import builtin, merge
from mesh.policy.policy import Policy
from mesh.policy.problem import Problems, suggest
from mesh.policy.table import load as load_policies
from mesh.simulate.read import read
from mesh.simulate.scenario import Scenario
from mesh.v1 import config_pb2, policy_pb2, simulation_pb2

METHOD: Final = "/simulated.v1.Simulated/Call"
"""What is called where no environment names a method."""


def load(
    file: str | Path, *, override: policy_pb2.Policy | None = None
) -> tuple[Scenario | None, list[Diagnostic]]:
    """Read a scenario; with problems there is no scenario. `override` is laid over the policy, field by field."""
    path, shown = Path(file).absolute(), str(file)
    text = document.read_text(path, shown)
    if isinstance(text, Diagnostic):
        return None, [text]
    parsed = document.parse(text, simulation_pb2.Simulation(), file=shown)
    if parsed.diagnostics:
        return None, parsed.diagnostics
    at = Problems()
    proto = parsed.message
    over = policy_pb2.Policy() if override is None else override
    method, policy = (
        _from_environment(proto, at, path, over) if proto.environment else _inline(proto, at, over)
    )
    scenario = read(proto, at, name=path.stem, method=method, policy=policy)
    found = locate(shown, parsed.lines, at.list)
    return (None if found else scenario), found


def require(file: str | Path, *, override: policy_pb2.Policy | None = None) -> Scenario:
    """Read a scenario; raise ConfigError with every problem. `override` is laid over the policy, field by field."""
    scenario, diagnostics = load(file, override=override)
    if scenario is None:
        raise ConfigError(diagnostic.as_problem() for diagnostic in diagnostics)
    return scenario


def _inline(
    proto: simulation_pb2.Simulation, at: Problems, override: policy_pb2.Policy
) -> tuple[str, Policy]:
    if proto.method:
        at.field("method").add("only with an environment; a policy written here is that of one method")
    idempotent = proto.idempotent if proto.HasField("idempotent") else True
    merged = merge(builtin(), proto.policy, override)
    return METHOD, Policy.read(merged, at.field("policy"), idempotent=idempotent)


def _from_environment(
    proto: simulation_pb2.Simulation, at: Problems, path: Path, override: policy_pb2.Policy
) -> tuple[str, Policy]:
    for name in ("policy", "idempotent"):
        if proto.HasField(name):
            at.field(name).add("not with an environment, which says it")
    here = at.field("environment")
    found, diagnostics = environment.load(path.parent / proto.environment)
    for diagnostic in diagnostics:
        here.add(str(diagnostic))
    if found is None:
        return METHOD, Policy()
    pool, files = DescriptorPool(), FileDescriptorSet()
    try:
        for descriptors in found.descriptors:
            files.MergeFromString(descriptors.read_bytes())
        for file in files.file:
            pool.AddSerializedFile(file.SerializeToString())
    except (DecodeError, TypeError) as error:
        here.add(f"the descriptors cannot be read: {error}")
        return METHOD, Policy()
    methods = {
        f"{file.package}.{service.name}/{method.name}".lstrip("."): method
        for file in files.file
        for service in file.service
        for method in service.method
    }
    name = proto.method.lstrip("/")
    if name not in methods:
        known = suggest(name, methods)
        at.field("method").add(f'"{name}" is not a method of the descriptors of {proto.environment}{known}')
        return METHOD, Policy()
    if methods[name].client_streaming or methods[name].server_streaming:
        at.field("method").add(f'"{name}" streams; only calls with one request and one response are modelled')
        return METHOD, Policy()
    policies = config_pb2.Policies()
    policies.CopyFrom(found.proto.policies)
    _lay(policies, name, override)
    table, problems = load_policies(policies, pool=pool)
    for problem in problems:
        here.add(str(problem))
    if problems:
        return METHOD, Policy()
    return f"/{name}", table.policy(f"/{name}", here)


def _lay(policies: config_pb2.Policies, name: str, override: policy_pb2.Policy) -> None:
    """Lay the override over what is written for the method."""
    service_name, _, method_name = name.partition("/")
    service = next((entry for entry in policies.services if entry.service == service_name), None)
    if service is None:
        service = policies.services.add(service=service_name)
    method = next((entry for entry in service.methods if entry.method == method_name), None)
    if method is None:
        method = service.methods.add(method=method_name)
    method.policy.CopyFrom(merge(method.policy, override))
