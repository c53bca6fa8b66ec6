"""`mesh generate` as a process: what it prints, and how it ends."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "protos/shop/v1/shop.proto"
    file.parent.mkdir(parents=True)
    file.write_text('syntax = "proto3";\npackage shop.v1;\nmessage Item { string id = 1; }\n')
    return file


def test_says_what_it_did_and_how_to_import_it(project, mesh):
    done = mesh("generate", "protos", "--out", "gen")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "wrote 5 of 5 files from 1 protos; descriptor set: gen/descriptors.binpb",
        "to import it: export PYTHONPATH=gen",
    ]
    assert mesh("generate", "protos", "--out", "gen").stdout == "up to date: 5 files from 1 protos\n"


def test_protoc_errors_end_with_2(project, mesh):
    project.write_text('syntax = "proto3";\npackage shop.v1;\nmessage Item { strng id = 1; }\n')

    done = mesh("generate", "protos")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'protos/shop/v1/shop.proto:3:16: "strng" is not defined\n'


def test_check_ends_with_1_when_something_is_not_up_to_date(project, mesh):
    mesh("generate", "protos")
    assert mesh("generate", "protos", "--check").returncode == 0
    project.write_text(project.read_text() + "message New {}\n")

    done = mesh("generate", "protos", "--check")

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "shop/v1/shop_pb2.py: is not what its proto makes",
        "shop/v1/shop_pb2.pyi: is not what its proto makes",
        "descriptors.binpb: is not what its proto makes",
    ]


def test_check_lists_what_is_left_of_deleted_protos(project, mesh):
    (project.parent / "old.proto").write_text('syntax = "proto3";\npackage shop.v1;\nmessage Old {}\n')
    mesh("generate", "protos")
    (project.parent / "old.proto").unlink()

    done = mesh("generate", "protos", "--check")

    assert "shop/v1/old_pb2.py: its proto is gone" in done.stderr
    assert Path("shop/v1/old_pb2.py").exists()


def test_warns_when_generating_inside_a_package(project, mesh):
    Path("app").mkdir()
    Path("app/__init__.py").touch()

    assert "app/gen is inside the Python package app" in mesh("generate", "protos", "--out", "app/gen").stderr


def test_a_folder_that_is_not_there(mesh, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    done = mesh("generate", "nowhere")

    assert done.returncode == 2
    assert "'nowhere' does not exist" in done.stderr


def test_what_cannot_be_written_ends_with_1(project, mesh):
    """A file where a folder is needed: even root cannot write there."""
    Path("taken").write_text("")

    done = mesh("generate", "protos", "--descriptors", "taken/set.binpb")

    assert done.returncode == 1
    assert done.stderr == "taken: File exists\n"
