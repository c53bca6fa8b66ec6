"""The `mesh` command line: one group, each command in the module named for it, imported when it runs."""

from mesh.cli.group import main

__all__ = ["main"]
