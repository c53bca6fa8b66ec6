"""What one worker says of itself when it is asked: values that travel to another process."""

from __future__ import annotations

import dataclasses
import enum
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from gateway.compose import explain
from gateway.protocol.passthrough import exposed
from gateway.schema.fingerprint import fingerprint
from mesh.call import Arity
from mesh.errors import ConfigError

if TYPE_CHECKING:
    from google.protobuf.descriptor import MethodDescriptor

    from gateway.blueprint import Blueprint
    from gateway.serving import Serving
    from gateway.worker import Worker

REDACTED: Final = "(redacted)"


def report(worker: Worker, question: str, argument: str) -> Any:
    """Return the worker's answer to a question; None before it serves."""
    if question == "state":
        return state(worker)
    if question == "metrics":
        return [] if worker.telemetry is None else worker.telemetry.snapshot()
    return None if worker.serving is None else _OF_SERVING[question](worker.serving, argument)


def state(worker: Worker) -> Mapping[str, Any]:
    """Return how the worker is."""
    return {
        "pid": os.getpid(),
        "since": timestamp(worker.began),
        "ready": worker.is_ready,
        "in_flight": worker.in_flight,
    }


def routes(serving: Serving, _: str) -> Mapping[str, Any]:
    """Return every route, and every method that has none, with the reason."""
    blueprint = serving.gateway.live.blueprint
    return {
        "routes": [
            {
                "http_method": binding.http_method,
                "path": str(binding.template),
                "method": binding.full_method[1:],
                "kind": kind_of(binding.method).value,
                "target": _target(blueprint, binding.full_method),
            }
            for binding in blueprint.table.bindings
        ],
        "not_exposed": [{"method": one.method, "reason": one.reason} for one in blueprint.table.skipped],
    }


def _target(blueprint: Blueprint, method: str) -> str:
    if method in blueprint.plans:
        return "(composed)"
    return blueprint.targets.get(method[1:].partition("/")[0], "")


def kind_of(method: MethodDescriptor) -> Arity:
    """Return how many messages each side of a method sends."""
    request = "stream" if method.client_streaming else "unary"
    return Arity(f"{request}_{'stream' if method.server_streaming else 'unary'}")


def config(serving: Serving, _: str) -> Mapping[str, Any]:
    """Return the settings that hold, defaults included, without secrets."""
    blueprint = serving.gateway.live.blueprint
    shown: dict[str, Any] = {"gateway": jsonable(blueprint.settings), "targets": dict(blueprint.targets)}
    environment = blueprint.runtime.environment
    if environment is not None:
        shown |= {"file": str(environment.file), "telemetry": jsonable(environment.telemetry)}
    return shown


def jsonable(value: Any) -> Any:
    """Return settings as JSON has them. What a URL says of a user is left out: it is the one secret they can hold."""
    if dataclasses.is_dataclass(value):
        return {field.name: jsonable(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, Path) or hasattr(value, "_asdict"):
        # An address is a named tuple, which prints as it is written.
        return str(value)
    if isinstance(value, (set, frozenset)):
        return sorted(map(jsonable, value))
    if isinstance(value, (tuple, list)):
        return [jsonable(item) for item in value]
    return redacted(value) if isinstance(value, str) else value


def redacted(text: str) -> str:
    """Return a text without the user and the password, if it is a URL with them."""
    try:
        authority = urlsplit(text).netloc
    except ValueError:
        return text
    user, at, _ = authority.rpartition("@")
    return text.replace(f"{user}@", f"{REDACTED}@", 1) if at else text


def policy(serving: Serving, method: str) -> Mapping[str, str]:
    """Return what happens to a method's calls as `text`, for a person; or why that cannot be said, as `problem`."""
    live = serving.gateway.live
    name = f"/{method.lstrip('/')}"
    # The steps of composed methods are called without being exposed; they are all unary.
    steps = dict.fromkeys(
        (node.rpc for plan in live.blueprint.plans.values() for node in plan.nodes), Arity.UNARY_UNARY
    )
    arity = {**steps, **exposed(live.blueprint)}.get(name)
    if arity is None:
        return {"problem": f'"{method}" is not a method that this gateway calls; /routes lists them'}
    plan = live.blueprint.plans.get(name)
    try:
        return {"text": live.backends.explain(name, arity) if plan is None else explain(plan)}
    except ConfigError as error:
        return {"problem": str(error)}


def schema(serving: Serving, _: str) -> Mapping[str, Any]:
    """Return which schema is served, since when, where it is from, and which one is not served though it is offered."""
    live = serving.gateway.live
    blueprint = live.blueprint
    environment = blueprint.runtime.environment
    refused = serving.gateway.refused
    return {
        "title": blueprint.title,
        "version": blueprint.version,
        "hash": fingerprint(blueprint.schema),
        "since": timestamp(live.since),
        "descriptors": [] if environment is None else [str(file) for file in environment.descriptors],
        "services": [service.full_name for service in blueprint.schema.services],
        "refused": None
        if refused is None
        else {"since": timestamp(refused.since), "problems": [str(problem) for problem in refused.problems]},
    }


def timestamp(seconds: float) -> str:
    """Return a time in RFC 3339's form."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


_OF_SERVING: Final[Mapping[str, Callable[[Serving, str], Any]]] = {
    "routes": routes,
    "config": config,
    "policy": policy,
    "schema": schema,
}
