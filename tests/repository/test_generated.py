"""Generated files are what their sources make, and `make check` notices when they are not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = ("Makefile", "buf.yaml", "buf.gen.yaml", "pyproject.toml", "requirements.lock", "build/third_party")
SOURCES = ("protos", "mesh", "gateway", "docs", "examples/boutique/protos")

pytestmark = pytest.mark.slow


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the tree, to break."""
    for part in (*NEEDED, *SOURCES):
        target = tmp_path / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / part, target)
    return tmp_path


def make(folder: Path, target: str) -> tuple[int, str]:
    # With this environment, and as it is: installing the copy into it would take the real checkout out.
    environment = [
        f"VENV={sys.prefix}",
        f"--assume-old={sys.prefix}/.locked",
        f"--assume-old={sys.prefix}/.ready",
    ]
    done = subprocess.run(
        ["make", "--no-print-directory", *environment, target],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "MAKEFLAGS": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
    )
    return done.returncode, done.stdout


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")

    assert old in text

    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_tree_is_up_to_date(copy: Path) -> None:
    assert (0, "comparing generated files\n") == make(copy, "check-generated")


def test_code_older_than_its_proto_is_stale(copy: Path) -> None:
    """A comment is enough: the types carry the comments."""
    edit(copy / "protos/mesh/v1/policy.proto", "// How long a call may take.", "// The time a call has.")

    status, output = make(copy, "check-generated")

    assert 0 != status
    assert "The time a call has." in output
    assert "generated files are stale: run make generate" in output


def test_code_without_a_proto_is_stale(copy: Path) -> None:
    (copy / "mesh/v1/gone_pb2.py").touch()

    status, output = make(copy, "check-generated")

    assert 0 != status
    assert "Only in mesh/v1: gone_pb2.py" in output


def test_docs_older_than_the_order_are_stale(copy: Path) -> None:
    edit(copy / "mesh/order.py", "nearest the wire", "next to the wire")

    status, output = make(copy, "check-generated")

    assert 0 != status
    assert "next to the wire" in output


def test_generating_mends_what_is_stale(copy: Path) -> None:
    edit(copy / "protos/mesh/v1/policy.proto", "// How long a call may take.", "// The time a call has.")

    assert 0 == make(copy, "generate")[0]
    assert 0 == make(copy, "check-generated")[0]


def test_a_proto_that_breaks_its_users_is_refused(copy: Path) -> None:
    edit(copy / "protos/mesh/v1/policy.proto", "Metrics metrics = 7;", "Metrics metrics = 70;")

    status, output = make(copy, "check-breaking")

    assert 0 != status
    assert 'Previously present field "7" with name "metrics"' in output


def test_a_break_is_accepted_on_purpose(copy: Path) -> None:
    edit(copy / "protos/mesh/v1/policy.proto", "Metrics metrics = 7;", "Metrics metrics = 70;")

    assert 0 == make(copy, "base")[0]
    assert 0 == make(copy, "check-breaking")[0]


def test_a_field_without_a_comment_is_refused(copy: Path) -> None:
    edit(copy / "protos/mesh/v1/policy.proto", "  // The wait before the first retry", "")

    status, output = make(copy, "check-protos")

    assert 0 != status
    assert "policy.proto" in output
