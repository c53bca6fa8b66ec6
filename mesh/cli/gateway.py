"""`mesh gateway`: any gRPC server as a REST API, in one command."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click

from mesh.cli import interrupt

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
    "--rules",
    metavar="FILE",
    multiple=True,
    type=click.Path(),
    help="HTTP rules (YAML of a google.api.Service) instead of the protos' own. Repeatable; the last rule of a method holds.",
)
@click.option(
    "--listen", type=_Listen(), help="Where to serve. Default: 127.0.0.1:8080; port 0 takes a free one."
)
@click.option(
    "--grpc-listen", type=_Listen(), help="Where to serve the same methods as plain gRPC. Default: nowhere."
)
@click.option(
    "--admin-listen",
    type=_Listen(),
    help="Where operators read health, metrics, routes, settings and policies; not for the public. Default: nowhere.",
)
@click.option(
    "--tls-certificate", metavar="FILE", type=click.Path(path_type=Path), help="A PEM chain: serve TLS."
)
@click.option(
    "--tls-key", metavar="FILE", type=click.Path(path_type=Path), help="The certificate's private key, PEM."
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
    rules: tuple[str, ...],
    listen: Any,
    grpc_listen: Any,
    admin_listen: Any,
    tls_certificate: Path | None,
    tls_key: Path | None,
    workers: int | None,
    timeout: float,
    request_timeout: float | None,
    unknown_query: str | None,
    access_log: bool | None,
) -> None:
    """Serve a gRPC server as REST and JSON, until Ctrl-C.

    Paths come from google.api.http annotations, or from --rules; a method without is POST /package.Service/Method. The API's
    documentation is at /docs, its OpenAPI document at /openapi.json, health at /healthz and /readyz. SIGHUP reads the
    configuration again; changed certificates are followed by themselves.

    \b
    Examples:
      mesh gateway --backend 127.0.0.1:50051
      mesh gateway --backend 127.0.0.1:50051 --descriptors api.binpb --listen 0.0.0.0:8080 --workers 4
      mesh gateway --config mesh.yaml
    """  # noqa: D301 - click looks for the character
    interrupt.ends_quietly()
    from gateway.load import Source
    from gateway.server import serve
    from mesh.config.edge import ServerTls

    if (backend is None) == (config is None):
        raise click.UsageError("give either --backend HOST:PORT or --config FILE")
    if config is not None and (descriptors or services):
        raise click.UsageError("--descriptors and --service belong to --backend; a config file has its own")
    if (tls_certificate is None) != (tls_key is None):
        raise click.UsageError("--tls-certificate and --tls-key belong together")
    source = Source(
        config=config or "",
        backend=backend or "",
        descriptors=descriptors,
        services=services,
        rules=rules,
        timeout=timeout,
    )
    changes: dict[str, Any] = {
        "listen": listen,
        "grpc_listen": grpc_listen,
        "admin_listen": admin_listen,
        "workers": workers,
        "request_timeout": request_timeout,
        "ignore_unknown_query": None if unknown_query is None else unknown_query == "ignore",
        "access_log": access_log,
    }
    if tls_certificate is not None and tls_key is not None:
        changes["tls"] = ServerTls(certificate=tls_certificate.absolute(), private_key=tls_key.absolute())
    chosen = {name: value for name, value in changes.items() if value is not None}
    sys.exit(serve(replace(source, overrides=chosen), announce=lambda text: click.echo(text, err=True)))
