"""One run of protoc: protos in, generated files and a descriptor set out, or what protoc says is wrong."""

from __future__ import annotations

import dataclasses
import importlib.resources
import importlib.util
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from mesh.generate import rule
from mesh.generate.failure import clean
from mesh.generate.rule import Rules
from mesh.generate.source import Builtin, Source


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What protoc made. With errors there are no files."""

    errors: Sequence[str]
    warnings: Sequence[str] = ()
    files: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    """Generated files by their path below the output folder."""
    descriptors: bytes = b""
    """A FileDescriptorSet with imports and source information."""
    read: Sequence[Path] = ()
    """Every proto of the user's that was read, imported ones included."""


def missing_tools() -> list[str]:
    """Return the distributions that generating needs and this environment lacks."""
    missing = []
    if importlib.util.find_spec("grpc_tools") is None:
        missing.append("grpcio-tools")
    if plugin("protoc-gen-mypy") is None:
        missing.append("mypy-protobuf")
    return missing


def plugin(name: str) -> str | None:
    """Find a plugin of this environment, which need not be on PATH."""
    places = (str(Path(sys.executable).parent), sysconfig.get_path("scripts"))
    return next((found for place in places if (found := shutil.which(name, path=place))), shutil.which(name))


def run(
    sources: Sequence[Source],
    folders: Sequence[Path],
    includes: Sequence[Path],
    installed: Builtin,
    rules: Rules | None = None,
) -> Result:
    """Generate messages, stubs and their types for the sources."""
    with tempfile.TemporaryDirectory(prefix="mesh-generate-") as name:
        work = Path(name)
        installed.link(work / "include")
        (work / "out").mkdir()
        standard = importlib.resources.files("grpc_tools") / "_proto"
        # The installed protos come first: their Python is what the generated code will import.
        searched = [work / "include", Path(str(standard)), *folders, *includes]
        command = [
            *(sys.executable, "-m", "grpc_tools.protoc"),
            *(f"--proto_path={folder}" for folder in searched),
            f"--descriptor_set_out={work / 'descriptors'}",
            *("--include_imports", "--include_source_info"),
            *(f"--{kind}_out={work / 'out'}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")),
            *(f"--plugin={tool}={plugin(tool)}" for tool in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")),
            *(source.name for source in sources),
        ]
        if rules is not None:
            (work / "rules").write_bytes(rules.descriptors)
            command.append(f"--descriptor_set_in={work / 'rules'}")
            command += [rule.NAME] if rules.generated else []
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell
        user = [*folders, *includes]
        errors, warnings = clean(done.stderr, lambda name: _shown(name, user), map(str, user))
        if done.returncode:
            return Result(errors or [f"protoc failed with exit code {done.returncode}"])
        files = {
            file.relative_to(work / "out").as_posix(): file.read_bytes()
            for file in sorted((work / "out").rglob("*"))
            if file.is_file()
        }
        descriptors = (work / "descriptors").read_bytes()
    # A plugin's own complaints are not protoc's warnings; with exit code 0 they change nothing.
    return _kept(files, descriptors, warnings, user)


def _kept(
    files: dict[str, bytes], descriptors: bytes, warnings: Sequence[str], user: Sequence[Path]
) -> Result:
    file_set = FileDescriptorSet.FromString(descriptors)
    for file in file_set.file:
        if not file.service:
            # grpc_python writes an empty module for protos without services.
            stem = file.name.removesuffix(".proto").replace("-", "_")
            for suffix in ("_pb2_grpc.py", "_pb2_grpc.pyi"):
                files.pop(f"{stem}{suffix}", None)
    read = [place / file.name for file in file_set.file for place in user if (place / file.name).is_file()]
    return Result((), warnings, files, descriptors, read)


def _shown(name: str, places: Sequence[Path]) -> str:
    return next((str(place / name) for place in places if (place / name).is_file()), name)
