"""A watched file has changed once it has been left alone, whoever changed it and however."""

from __future__ import annotations

import os

import pytest

from mesh.config.watch import INTERVAL, FileWatch, is_wanted


def watched(tmp_path, text="a"):
    file = tmp_path / "mesh.yaml"
    file.write_text(text)
    return file, FileWatch(file)


def test_an_untouched_file_has_not_changed(tmp_path):
    _, watch = watched(tmp_path)

    assert [False, False] == [watch.changed(), watch.changed()]
    assert not watch.settling


def test_a_change_counts_when_two_looks_agree_and_is_told_once(tmp_path):
    file, watch = watched(tmp_path)
    file.write_text("ab")

    assert not watch.changed()
    assert watch.settling
    assert watch.changed()
    assert not watch.changed()
    assert not watch.settling


def test_a_file_that_changes_is_looked_at_again_soon(tmp_path):
    file, watch = watched(tmp_path)
    assert [INTERVAL, 5.0] == [watch.pause(), watch.pause(5.0)]

    file.write_text("ab")
    watch.changed()

    assert INTERVAL > watch.pause()
    assert 0.01 == watch.pause(0.01)


@pytest.mark.parametrize(("environ", "expected"), [({}, True), ({"MESH_RELOAD": "0"}, False)])
def test_files_are_followed_unless_the_environment_says_no(environ, expected):
    assert expected is is_wanted(environ)


def test_a_file_that_is_still_being_written_is_left_alone(tmp_path):
    file, watch = watched(tmp_path)
    for text in ("", "b", "bc"):
        file.write_text(text)
        assert not watch.changed()

    assert watch.changed()


def test_a_file_replaced_by_a_rename_has_changed(tmp_path):
    file, watch = watched(tmp_path)
    other = tmp_path / "other"
    other.write_text("b")
    stat = file.stat()
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # the same size and time: another inode
    other.replace(file)

    assert not watch.changed()
    assert watch.changed()


def test_a_link_swapped_above_the_file_is_a_change(tmp_path):
    """Kubernetes: mesh.yaml -> ..data/mesh.yaml, and ..data -> a folder for each version."""
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "mesh.yaml").write_text(version)
    (tmp_path / "..data").symlink_to("1")
    (tmp_path / "mesh.yaml").symlink_to("..data/mesh.yaml")
    watch = FileWatch(tmp_path / "mesh.yaml")
    (tmp_path / "..new").symlink_to("2")
    (tmp_path / "..new").replace(tmp_path / "..data")

    assert not watch.changed()
    assert watch.changed()


def test_a_file_that_is_gone_has_not_changed_until_it_is_back(tmp_path):
    file, watch = watched(tmp_path)
    file.unlink()

    assert [False, False] == [watch.changed(), watch.changed()]
    assert not watch.settling

    file.write_text("abc")
    assert [False, True] == [watch.changed(), watch.changed()]
