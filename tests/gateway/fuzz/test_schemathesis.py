"""What the document says is what the gateway does: schemathesis sends what it allows, and what it does not.

No answer is a 5xx, and status, content type, headers and body of each are as the document has them. `schemathesis.toml` says
what else is asked, and what is not. MESH_FUZZ multiplies the number of examples.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

from tests.gateway.server.process import ENVIRON

HERE = pathlib.Path(__file__).parent
EXAMPLES = 20 * int(os.environ.get("MESH_FUZZ") or 1)


@pytest.mark.slow
@pytest.mark.timeout(0 if EXAMPLES > 20 else 240)
def test_the_gateway_does_what_its_document_says(url, tmp_path):
    command = [sys.executable, "-m", "schemathesis.cli"]
    command += ["--config-file", str(HERE / "schemathesis.toml"), "run", f"{url}/openapi.json"]
    command += ["--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES), "--seed", "1"]
    command += ["--continue-on-failure", "--generation-deterministic"]
    ran = subprocess.run(
        command,
        cwd=tmp_path,
        env={**ENVIRON, "SCHEMATHESIS_HOOKS": "tests.gateway.fuzz.hooks"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
