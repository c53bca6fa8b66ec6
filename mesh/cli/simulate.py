"""`mesh simulate`: what a policy does to a modelled fleet, in virtual time."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mesh.simulate.result import Result

_COLOURS = ("red", "yellow")


@click.command("simulate", short_help="Try a policy out on a modelled fleet, in virtual time.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--seed", type=click.IntRange(min=0), help="Use this seed instead of the file's.")
@click.option(
    "--against",
    type=click.Choice(["naive", "none"]),
    multiple=True,
    help="Run the same calls under another policy too. naive: three tries at once, no budget, breaker or limit. "
    "none: one attempt, nothing else.",
)
@click.option(
    "--rows", type=click.IntRange(min=1), default=30, show_default=True, help="Rows of time at most."
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
    help="Write all figures of all slices to this file (- is standard output, instead of the table).",
)
@click.option(
    "--plot",
    "plot_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw them into this file, which ends with .svg or .png. Needs grpc-mesh[simulate].",
)
def command(
    file: Path,
    seed: int | None,
    against: tuple[str, ...],
    rows: int,
    json_file: Path | None,
    plot_file: Path | None,
) -> None:
    """Run the scenario FILE: a modelled fleet, what goes wrong with it, and the policy its calls travel under.

    Stages, retries, breakers and budgets are the real ones; clients, backends and time are modelled. A minute of a busy
    fleet takes seconds, and the same file and seed always give the same figures.

    \b
    A scenario; what is left out has a default:
      duration: 90s
      arrivals: {rate: 500}                       calls a second of all clients together
      clients: {count: 20}                        each with its own circuits and budgets
      backends:
        count: 10
        workers: 8                                calls at once, each; the others wait in turn
        latency: {median: 0.02s, p99: 0.1s}
      events:
        - {begin: 30s, length: 10s, outage: OUTAGE_FAIL}
      policy:                                     or: environment: mesh.yaml, method: shop.v1.Shop/Get
        retry: {max_attempts: 2}

    \b
    Examples:
      mesh simulate examples/simulate/outage.yaml
      mesh simulate examples/simulate/metastable.yaml --against naive --plot metastable.svg
      mesh simulate scenario.yaml --seed 7 --json - | jq .policy.total

    Exit codes: 0 done, 1 it did not work, 2 something in FILE is wrong (every problem is printed).
    """  # noqa: D301 - click looks for the character
    from mesh import simulate
    from mesh.errors import MeshError
    from mesh.simulate.baseline import BASELINES
    from mesh.simulate.plot import FORMATS, plot
    from mesh.simulate.report import render

    if plot_file is not None and plot_file.suffix not in FORMATS:
        raise click.BadParameter(
            f'"{plot_file}" ends with neither {" nor ".join(FORMATS)}', param_hint="--plot"
        )
    results: dict[str, Result] = {}
    calls, began = 0, time.perf_counter()
    for name in ("policy", *against):
        scenario, diagnostics = simulate.load(file, override=BASELINES.get(name))
        if scenario is None:
            for diagnostic in diagnostics:
                click.echo(str(diagnostic), err=True)
            sys.exit(2)
        if seed is not None:
            scenario = dataclasses.replace(scenario, seed=seed)
        try:
            results[name] = simulate.run(scenario)
        except MeshError as error:  # a policy that this method cannot have
            click.echo(str(error), err=True)
            sys.exit(2)
        calls += sum(piece.calls for piece in results[name].slices)
    seconds = time.perf_counter() - began
    try:
        if json_file is not None:
            tree = {name: result.as_dict() for name, result in results.items()}
            with click.open_file(str(json_file), "w") as stream:
                json.dump(tree, stream, indent=2)
                stream.write("\n")
        if plot_file is not None:
            plot(results, plot_file)
    except (MeshError, OSError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    if json_file is None or str(json_file) != "-":
        click.echo(render(results, rows=rows, paint=_paint))
        click.echo(f"\n{calls} calls in {seconds:.1f} s: {calls / seconds:.0f} a second", err=True)


def _paint(text: str, colour: str) -> str:
    """Colour the text; click leaves the colours out where nobody sees them."""
    if colour in _COLOURS:
        return click.style(text, fg=colour)
    return click.style(text, bold=True) if colour == "bold" else text
