"""`mesh generate`: from folders of protos to importable Python and a descriptor set."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("generate", short_help="From folders of protos to importable Python and a descriptor set.")
@click.argument("folders", metavar="PROTO_DIR...", nargs=-1, required=True, type=_FOLDER)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Where the Python goes; imports start here. Default: the current folder.",
)
@click.option(
    "--descriptors",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the descriptor set goes, for mesh.yaml. Default: descriptors.binpb in --out.",
)
@click.option(
    "--include",
    "includes",
    multiple=True,
    type=_FOLDER,
    help="A folder of protos that are only imported. Repeatable.",
)
@click.option(
    "--check", is_flag=True, help="Write nothing; exit with 1 and list the files that are not up to date."
)
def command(
    folders: tuple[Path, ...], out: Path, descriptors: Path | None, includes: tuple[Path, ...], check: bool
) -> None:
    """Make Python out of the protos in PROTO_DIR: messages, gRPC stubs and their types.

    PROTO_DIR is the folder that import paths start from: protos/shop/v1/shop.proto is imported as
    "shop/v1/shop.proto" and becomes shop/v1/shop_pb2.py. The protos of grpc-mesh (mesh/v1, gateway/v1) and of
    googleapis (google/api, google/rpc, google/type) can be imported without doing anything; buf/validate/validate.proto
    with grpc-mesh[validation] installed.

    A second run does nothing unless something changed; the Python of deleted protos is removed.

    \b
    Examples:
      mesh generate protos                       into the current folder, beside your code
      mesh generate protos --out gen             into gen, which must be on PYTHONPATH
      mesh generate protos --check               for CI
    """  # noqa: D301 - click looks for the character
    from mesh.generate import GenerateError, Request, generate

    descriptors = descriptors or out / "descriptors.binpb"
    request = Request(folders=folders, out=out, descriptors=descriptors, includes=includes, check=check)
    try:
        report = generate(request)
    except GenerateError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        sys.exit(2)
    except OSError as error:
        click.echo(f"{error.filename}: {error.strerror}", err=True)
        sys.exit(1)
    for warning in report.warnings:
        click.echo(warning, err=True)
    if check:
        for file in report.written:
            click.echo(f"{file}: is not what its proto makes", err=True)
        for file in report.removed:
            click.echo(f"{os.path.relpath(file)}: its proto is gone", err=True)
        if report.changed:
            sys.exit(1)
    made = f"{report.files} files from {report.protos} protos"
    if not report.changed:
        click.echo(f"up to date: {made}")
        return
    changed = [f"wrote {len(report.written)}"] if report.written else []
    changed += [f"removed {len(report.removed)}"] if report.removed else []
    click.echo(f"{' and '.join(changed)} of {made}; descriptor set: {descriptors}")
    _hint(out)


def _hint(out: Path) -> None:
    inside = next(
        (folder for folder in (out, *out.absolute().parents) if (folder / "__init__.py").exists()), None
    )
    if inside is not None:
        click.echo(
            f"note: {out} is inside the Python package {inside.name}; generated imports start at {out}, "
            "so it must be on sys.path itself",
            err=True,
        )
    elif out.absolute() != Path.cwd():
        click.echo(f"to import it: export PYTHONPATH={out}")
