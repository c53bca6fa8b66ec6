"""The command line as a whole: what it lists, what it imports, how it ends."""

import importlib
import subprocess
import sys

import click
import pytest

from mesh.cli.group import COMMANDS


def test_help_lists_every_command_and_shows_examples(mesh):
    done = mesh("--help")

    assert done.returncode == 0
    assert "mesh up mesh.yaml" in done.stdout
    for name, (_, line) in COMMANDS.items():
        assert f"  {name}" in done.stdout
        assert line in done.stdout


@pytest.mark.slow
def test_help_imports_no_command():
    """Each command imports what it needs; asking for help must not wait for all of that."""
    code = "import sys, mesh.cli; mesh.cli.main(['--help'], standalone_mode=False); print([m for m in sys.modules if m in {modules}])"
    modules = {module for module, _ in COMMANDS.values()} | {"mesh.up", "gateway", "rich"}
    done = subprocess.run(
        [sys.executable, "-c", code.replace("{modules}", repr(modules))], capture_output=True, text=True
    )

    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(name):
    command = importlib.import_module(COMMANDS[name][0]).command
    assert isinstance(command, click.Command)

    with click.Context(command, info_name=f"mesh {name}") as context:
        assert f"mesh {name}" in command.get_help(context)


def test_version(mesh):
    assert mesh("--version").stdout.startswith("mesh 0.")


def test_an_unknown_command_is_bad_input(mesh):
    done = mesh("generat")

    assert done.returncode == 2
    assert "generat" in done.stderr
    assert done.stdout == ""
