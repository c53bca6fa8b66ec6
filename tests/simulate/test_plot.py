"""Plots: drawn by matplotlib where it is installed, and a sentence that says so where it is not."""

import sys

import pytest

from mesh import simulate
from mesh.errors import MeshError
from mesh.simulate.plot import plot
from tests.simulate.scenario import scenario


@pytest.fixture
def results(tmp_path):
    return {"mine": simulate.run(scenario(tmp_path, "duration: 2s"))}


@pytest.mark.parametrize(("name", "begin"), [("plot.svg", b"<?xml"), ("plot.png", b"\x89PNG")])
def test_the_same_results_give_the_same_bytes(tmp_path, results, name, begin):
    pytest.importorskip("matplotlib")
    files = [tmp_path / name, tmp_path / f"again-{name}"]
    for file in files:
        plot(results, file)
    first, second = (file.read_bytes() for file in files)

    assert first.startswith(begin)
    assert first == second


def test_without_matplotlib(tmp_path, results, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(MeshError, match=r"plots need matplotlib: pip install 'grpc-mesh\[simulate\]'"):
        plot(results, tmp_path / "plot.svg")
