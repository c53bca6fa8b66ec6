"""`mesh policy`: the policies of an environment as an editor and as a reviewer want them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import click

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group("policy", short_help="A schema for editors, and what changes between two files.")
def command() -> None:
    """Look at the policies of an environment without running it."""


@command.command("schema", short_help="Print the JSON Schema of a mesh.yaml.")
@click.option(
    "--kind",
    type=click.Choice(["environment", "policy"]),
    default="environment",
    show_default=True,
    help="Of a whole mesh.yaml, or of one policy in it.",
)
def schema(kind: str) -> None:
    """Print the JSON Schema (draft 2020-12) of a mesh.yaml, for editors that complete and check.

    \b
      mesh policy schema > mesh.schema.json
    and as the first line of mesh.yaml, for VS Code and whatever else runs yaml-language-server:
      # yaml-language-server: $schema=./mesh.schema.json

    Fields are described where grpcio-tools is installed (grpc-mesh[generate]), which reads the comments of the protos.
    """  # noqa: D301 - click looks for the character
    from mesh.config import json_schema
    from mesh.v1 import config_pb2, policy_pb2

    message, title = {
        "environment": (config_pb2.Environment.DESCRIPTOR, "mesh.yaml of grpc-mesh"),
        "policy": (policy_pb2.Policy.DESCRIPTOR, "A policy of grpc-mesh"),
    }[kind]
    tree = json_schema.render(message, _comments(), title=title)
    click.echo(json.dumps(tree, indent=2, ensure_ascii=False))


def _comments() -> Mapping[str, str]:
    from gateway.schema import comment
    from mesh.generate import comment as protos

    return comment.read(protos.read("mesh/v1/config.proto"))


@command.command("diff", short_help="Print what changes from one mesh.yaml to another.")
@click.argument("old", type=_FILE)
@click.argument("new", type=_FILE)
def diff(old: Path, new: Path) -> None:
    """Print what changes in the effective policies from the file OLD to NEW, for whom, and what needs a restart.

    A change that holds for all methods of a service, or for every service, is one line. As diff does, it exits with 0
    when nothing changes, 1 when something does, and 2 when one of the files has problems.

    \b
    Example:
      mesh policy diff <(git show HEAD:mesh.yaml) mesh.yaml
    """  # noqa: D301 - click looks for the character
    from mesh.cli import change

    report = change.compare(old, new)
    for problem in report.problems:
        click.echo(str(problem), err=True)
    if report.problems:
        sys.exit(2)
    for line in report.lines:
        # click leaves the colours out where standard output is no terminal.
        click.secho(line.text, fg=line.colour)
    sys.exit(1 if report.lines else 0)
