"""Which commands there are, and where each one lives."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import Final

import click

COMMANDS: Final = {
    "generate": ("mesh.cli.generate", "From folders of protos to importable Python and a descriptor set."),
    "check": ("mesh.cli.check", "Print every problem of an environment, without starting anything."),
    "up": ("mesh.cli.up", "Start an environment: every service, then the gateway."),
    "explain": ("mesh.cli.explain", "Print what happens to a method's calls, stage by stage."),
    "simulate": ("mesh.cli.simulate", "Try a policy out on a modelled fleet, in virtual time."),
    "policy": ("mesh.cli.policy", "A schema for editors, and what changes between two files."),
    "gateway": ("mesh.cli.gateway", "Turn gRPC servers into a REST API."),
}
"""Name, module and one line of help: `mesh --help` imports none of the modules, which each hold a `command`."""


class LazyGroup(click.Group):
    """A group that imports a command when it is run or asked for its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)  # noqa: S101 - a broken table, not a user's mistake
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def _version(ctx: click.Context, _param: click.Parameter, asked: bool) -> None:
    if asked:
        click.echo(f"mesh {importlib.metadata.version('grpc-mesh')}")
        ctx.exit()


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Print the version."
)
def main() -> None:
    """Run gRPC services as a mesh, behind a REST gateway.

    \b
    From protos to a running system:
      mesh generate protos         stubs and a descriptor set
      mesh check mesh.yaml         every problem, nothing started
      mesh up mesh.yaml            every service and the gateway, until Ctrl-C

    \b
    Look closer:
      mesh explain mesh.yaml shop.v1.CatalogService/GetProduct
      mesh gateway --backend 127.0.0.1:50051 --listen 127.0.0.1:8080

    Exit codes: 0 done, 1 it did not work, 2 something you wrote is wrong (every problem is printed).
    """  # noqa: D301 - click looks for the character
