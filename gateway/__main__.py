"""`python -m gateway --config FILE`: what `mesh up` starts."""

from __future__ import annotations

import argparse
import os
import sys

from gateway.load import Source
from gateway.server import serve


def main() -> int:
    """Serve the environment that the command line names; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m gateway", description="Serve an environment's gateway.")
    parser.add_argument(
        "--config",
        default=os.environ.get("MESH_CONFIG") or "mesh.yaml",
        help="the environment (default: MESH_CONFIG, else mesh.yaml)",
    )
    arguments = parser.parse_args()
    return serve(Source(config=arguments.config), announce=_announce)


def _announce(text: str) -> None:
    # Standard output is the access log's.
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
