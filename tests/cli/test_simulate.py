"""`mesh simulate`: a table on standard output, figures in files, problems with their place."""

import json

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = tmp_path / "scenario.yaml"
    found.write_text("duration: 2s\nevents: [{begin: 1s, error_percent: 50}]\n")
    return found


def test_a_table_and_the_speed(mesh, file):
    done = mesh("simulate", "scenario.yaml", "--against", "naive")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("scenario, seed 0: policy\n")
    assert "\nscenario, seed 0: naive\n" in done.stdout
    assert "\x1b" not in done.stdout
    assert "calls in" in done.stderr


def test_the_same_seed_prints_the_same(mesh, file):
    one, again, other = (mesh("simulate", "scenario.yaml", "--seed", seed).stdout for seed in (3, 3, 4))

    assert one == again
    assert one != other


def test_figures_as_json(mesh, file):
    done = mesh("simulate", "scenario.yaml", "--json", "-")

    assert done.returncode == 0, done.stderr
    assert 2 == len(json.loads(done.stdout)["policy"]["slices"])
    assert mesh("simulate", "scenario.yaml", "--json", "figures.json").stdout.startswith("scenario, ")
    assert json.loads(done.stdout) == json.loads((file.parent / "figures.json").read_text())


def test_problems_are_printed_and_exit_with_2(mesh, file):
    file.write_text("duration: 0s\nslice: 0s\n")
    done = mesh("simulate", "scenario.yaml")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        'scenario.yaml:1: duration: "0s" is out of range, must be 1s to 86400s',
        'scenario.yaml:2: slice: "0s" is out of range, must be 0.01s to 3600s',
    ]


def test_a_plot_is_svg_or_png(mesh, file):
    done = mesh("simulate", "scenario.yaml", "--plot", "plot.pdf")

    assert done.returncode == 2
    assert '"plot.pdf" ends with neither .svg nor .png' in done.stderr


def test_a_file_that_cannot_be_written(mesh, file):
    done = mesh("simulate", "scenario.yaml", "--json", "nowhere/figures.json")

    assert done.returncode == 1
    assert "No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr
