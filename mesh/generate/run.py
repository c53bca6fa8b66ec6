"""What one run of `mesh generate` does to the output folder: writes what differs, removes what is no longer made."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mesh.generate import layout, output, protoc, rule, source, stamp


class GenerateError(Exception):
    """Nothing was written; `problems` are lines for people."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to generate, from where, and where to."""

    folders: tuple[Path, ...]
    """Import roots: `protos` where a file is `protos/shop/v1/shop.proto` and imported as `shop/v1/shop.proto`."""
    out: Path
    descriptors: Path
    includes: tuple[Path, ...] = ()
    check: bool = False
    """Write nothing; say what would be written."""

    @property
    def stamp(self) -> Path:
        return self.descriptors.with_name(f".{self.descriptors.name}.stamp")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run did or, with `check`, would do."""

    protos: int
    files: int
    written: tuple[Path, ...] = ()
    removed: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        return bool(self.written or self.removed)


def generate(request: Request) -> Report:
    """Bring the output folder up to date; raises GenerateError when that cannot be done, having written nothing."""
    missing = protoc.missing_tools()
    if missing:
        raise GenerateError([f"{' and '.join(missing)} not installed: pip install 'grpc-mesh[generate]'"])
    installed = source.builtin()
    sources, problems = source.find(request.folders, installed)
    rules, unresolved = rule.find(sources, request.folders, request.includes)
    if problems or unresolved:
        raise GenerateError([*problems, *unresolved])
    if not sources:
        raise GenerateError(
            [
                f"{', '.join(map(str, request.folders))}: nothing to generate; these protos are installed already"
            ]
        )
    base = request.stamp.parent
    folders = [_relative(folder, base) for folder in request.folders]
    options = stamp.tools() | {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "out": _relative(request.out, base),
        "includes": os.pathsep.join(_relative(folder, base) for folder in request.includes),
    }
    last = stamp.load(request.stamp)
    if last is not None:
        _check_same_project(last, folders, request)
        found = [_relative(item.file, base) for item in sources]
        if not request.check and stamp.is_fresh(
            last, folders=folders, options=options, found=found, base=base
        ):
            return Report(protos=len(sources), files=len(last.outputs))
    result = protoc.run(sources, request.folders, request.includes, installed, rules)
    if result.errors:
        raise GenerateError(result.errors)
    outputs = {(base / name).resolve(): known for name, known in (last.outputs if last else {}).items()}
    inits, problems = layout.arrange(
        list(result.files), request.out, _places(request.out), frozenset(outputs)
    )
    wanted = {request.out / name: content for name, content in result.files.items()}
    wanted |= {request.out / name: b"" for name in inits}
    problems += output.foreign(wanted, outputs)
    wanted[request.descriptors] = result.descriptors
    if problems:
        raise GenerateError(problems)
    written, removed = output.changes(wanted, outputs)
    if not request.check:
        output.apply({file: wanted[file] for file in written}, removed, request.out)
        stamp.Stamp(
            folders=tuple(folders),
            options=options,
            inputs={_relative(file, base): stamp.digest(file) for file in result.read},
            outputs={
                _relative(file, base): stamp.content_digest(content) for file, content in wanted.items()
            },
        ).write(request.stamp)
    return Report(
        protos=len(sources),
        files=len(wanted),
        written=tuple(written),
        removed=tuple(removed),
        warnings=tuple(result.warnings),
    )


def _check_same_project(last: stamp.Stamp, folders: Sequence[str], request: Request) -> None:
    base = request.stamp.parent
    lost = [name for name in last.folders if name not in folders and (base / name).is_dir()]
    if lost:
        names = ", ".join(lost)
        raise GenerateError(
            [
                (
                    f"{request.descriptors}: holds the protos of {names} too: name all folders in one run, or another file "
                    "with --descriptors"
                )
            ]
        )


def _places(out: Path) -> list[Path]:
    """Return the folders that Python may look in for the project: its own, and those of this interpreter."""
    project = Path.cwd()
    # The folder of the `mesh` script is on sys.path only for as long as it runs.
    scripts = {Path(sys.argv[0]).parent.resolve(), Path(sys.executable).parent}
    search = [Path(name) for name in sys.path if name and Path(name).resolve() not in scripts]
    found = [project, project / "src", *search]
    kept = {place.resolve(): place for place in reversed(found) if place.is_dir()}
    return [place for resolved, place in reversed(kept.items()) if resolved != out.resolve()]


def _relative(file: Path, base: Path) -> str:
    return Path(os.path.relpath(file.resolve(), base.resolve())).as_posix()
