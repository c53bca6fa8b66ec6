"""`mesh check`: every problem of an environment, without starting anything."""

from __future__ import annotations

import json
import sys

import click

FILE = click.argument("file", default="mesh.yaml", type=click.Path(dir_okay=False))
"""The environment's file, as every command takes it."""


@click.command("check", short_help="Print every problem of an environment, without starting anything.")
@FILE
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json"]),
    default="text",
    help="Lines for people, or one JSON object for programs.",
)
def command(file: str, style: str) -> None:
    """Check FILE (default: mesh.yaml): the environment, its policies, descriptors, routes and compositions.

    Every problem is printed with its place, FILE:LINE: PATH: what is wrong. The exit code is 2 if there is any.

    \b
    Examples:
      mesh check
      mesh check examples/boutique/mesh.yaml
      mesh check mesh.yaml --format json
    """  # noqa: D301 - click looks for the character
    from mesh.cli.inspection import inspect

    found = inspect(file)
    if style == "json":
        tree = {
            "ok": not found.diagnostics,
            "problems": [diagnostic._asdict() for diagnostic in found.diagnostics],
            "routes": found.routes,
            "compositions": found.compositions,
        }
        click.echo(json.dumps(tree, indent=2))
    elif found.diagnostics:
        for diagnostic in found.diagnostics:
            click.echo(str(diagnostic), err=True)
    else:
        click.echo(f"{file}: {found}")
    if found.diagnostics:
        sys.exit(2)
