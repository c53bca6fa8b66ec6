"""`mesh gateway`: any gRPC server as a REST API, in one command."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from typing import Any, Final

import click

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|)")
_UNITS: Final = {"ms": 1e-3, "s": 1.0, "m": 60.0, "": 1.0}


class _Duration(click.ParamType[float]):
    """A time such as `15s`, `250ms`, `2m` or `15`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = _DURATION.fullmatch(str(value))
        seconds = float(found[1]) * _UNITS[found[2]] if found is not None else 0.0
        if seconds <= 0.0:
            self.fail(f'"{value}" is not a time above 0, such as 15s, 250ms or 2m', param, ctx)
        return seconds


class _Listen(click.ParamType[Any]):
    """HOST:PORT, where port 0 takes a free one."""

    name = "HOST:PORT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from mesh.config import address

        parsed = address.parse(str(value), least_port=0)
        if isinstance(parsed, str):
            self.fail(parsed, param, ctx)
        return parsed


_DURATION_TYPE: Final = _Duration()


@click.command("gateway", short_help="Turn gRPC servers into a REST API.")
@click.option("--backend", metavar="HOST:PORT", help="The gRPC server.")
@click.option(
    "--config", metavar="FILE", type=click.Path(), help="An environment (mesh.yaml) instead of a backend."
)
@click.option(
    "--descriptors",
    metavar="FILE",
    multiple=True,
    type=click.Path(),
    help="A descriptor set of the backend's protos. Repeatable. Default: the backend is asked (server reflection).",
)
@click.option(
    "--service",
    "services",
    metavar="NAME",
    multiple=True,
    help="A service to expose, by full name. Repeatable. Default: all.",
)
@click.option(
    "--listen", type=_Listen(), help="Where to serve. Default: 127.0.0.1:8080; port 0 takes a free one."
)
@click.option("--workers", type=click.IntRange(1, 256), help="Processes. Default: 1.")
@click.option(
    "--timeout",
    type=_DURATION_TYPE,
    default="15s",
    show_default=True,
    help="How long to wait for the backend at the start.",
)
@click.option("--request-timeout", type=_DURATION_TYPE, help="The most a request may take. Default: 15s.")
@click.option(
    "--unknown-query",
    type=click.Choice(["refuse", "ignore"]),
    help="What to do with query parameters that name no field. Default: refuse.",
)
@click.option(
    "--access-log/--no-access-log", default=None, help="A line of JSON on standard output per request."
)
def command(
    backend: str | None,
    config: str | None,
    descriptors: tuple[str, ...],
    services: tuple[str, ...],
    listen: Any,
    workers: int | None,
    timeout: float,
    request_timeout: float | None,
    unknown_query: str | None,
    access_log: bool | None,
) -> None:
    """Serve a gRPC server as REST and JSON, until Ctrl-C.

    Paths come from google.api.http annotations; a method without one is POST /package.Service/Method. The API's
    documentation is at /docs, its OpenAPI document at /openapi.json, health at /healthz and /readyz.

    \b
    Examples:
      mesh gateway --backend 127.0.0.1:50051
      mesh gateway --backend 127.0.0.1:50051 --descriptors api.binpb --listen 0.0.0.0:8080 --workers 4
      mesh gateway --config mesh.yaml
    """  # noqa: D301 - click looks for the character
    from gateway.load import Source
    from gateway.server import serve
    from mesh.errors import ConfigError

    if (backend is None) == (config is None):
        raise click.UsageError("give either --backend HOST:PORT or --config FILE")
    if config is not None and (descriptors or services):
        raise click.UsageError("--descriptors and --service belong to --backend; a config file has its own")
    source = Source(
        config=config or "",
        backend=backend or "",
        descriptors=descriptors,
        services=services,
        timeout=timeout,
    )
    changes = {
        "listen": listen,
        "workers": workers,
        "request_timeout": request_timeout,
        "ignore_unknown_query": None if unknown_query is None else unknown_query == "ignore",
        "access_log": access_log,
    }
    try:
        settings = replace(
            source.chosen_settings(), **{name: value for name, value in changes.items() if value is not None}
        )
    except ConfigError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        sys.exit(2)
    sys.exit(serve(replace(source, settings=settings), announce=lambda text: click.echo(text, err=True)))
