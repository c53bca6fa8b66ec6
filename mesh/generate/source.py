"""Which protos are generated, and which are only there to be imported."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import mesh

_SKIPPED = frozenset(("node_modules", "__pycache__"))


@dataclasses.dataclass(frozen=True, slots=True)
class Builtin:
    """Protos on every include path, whose Python is installed already: ours and googleapis'."""

    folders: tuple[tuple[Path, str], ...]
    """Each folder and the import path it stands for: (`.../site-packages/google/api`, `google/api`)."""

    def covers(self, name: str) -> bool:
        """Whether an import path such as `google/api/http.proto` is one of them."""
        if name.startswith("google/protobuf/"):
            return True
        return any(
            (folder / name[len(prefix) + 1 :]).is_file()
            for folder, prefix in self.folders
            if name.startswith(f"{prefix}/")
        )

    def link(self, folder: Path) -> None:
        """Put all of them under one folder, and nothing else that happens to lie beside them."""
        for source, prefix in self.folders:
            target = folder / prefix
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source, target_is_directory=True)


def builtin() -> Builtin:
    """Find them: in a wheel ours are in mesh/protos, in a checkout in protos beside the packages."""
    package = Path(mesh.__file__).resolve().parent
    ours = next(
        folder
        for folder in (package / "protos", package.parent / "protos")
        if (folder / "mesh/v1/policy.proto").is_file()
    )
    found = {ours / name: name for name in ("mesh", "gateway") if (ours / name).is_dir()}
    for file in importlib.metadata.files("googleapis-common-protos") or ():
        if file.suffix == ".proto":
            prefix = "/".join(file.parts[:2])  # google/api, google/rpc, ...
            found[Path(str(file.locate())).parents[len(file.parts) - 3]] = prefix
    return Builtin(tuple(found.items()))


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """One proto: the name it is imported by, and where it is."""

    name: str
    file: Path


def find(folders: Sequence[Path], installed: Builtin) -> tuple[list[Source], list[str]]:
    """Return what is to be generated from the folders, sorted by name, and what is wrong with them."""
    found: dict[str, Source] = {}
    problems = []
    for folder in folders:
        count = 0
        for file in _walk(folder):
            count += 1
            if problem := _unreadable(file):
                problems.append(problem)
                continue
            source = Source(file.relative_to(folder).as_posix(), file)
            if installed.covers(source.name):
                continue  # a copy, vendored for other tools; its Python is installed
            first = found.setdefault(source.name, source)
            if first is not source:
                problems.append(f"{file}: {first.file} is imported by the same name, {source.name}")
        if not count:
            problems.append(f"{folder}: there is no .proto file in it")
    return [found[name] for name in sorted(found)], problems


def _unreadable(file: Path) -> str | None:
    """Say why a file is no proto at all; protoc's plugins would answer with tracebacks."""
    try:
        content = file.read_bytes()
        content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        return f"{file}:{line}:{column}: not UTF-8, as protos are"
    except OSError as error:
        return f"{file}: cannot be read: {error.strerror}"
    return None


def _walk(folder: Path) -> Iterator[Path]:
    for path, folders, files in os.walk(folder):
        # A virtual environment's protos are other people's.
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _SKIPPED
            and not Path(path, name, "pyvenv.cfg").exists()
        )
        yield from (Path(path, name) for name in sorted(files) if name.endswith(".proto"))
