"""The documentation page in a real browser, which can reach nothing but the gateway."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Every name but the gateway's address is unknown to this browser: the page must work offline.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--virtual-time-budget=10000",
)


@pytest.fixture
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed: .ci/run installs it")
        pytest.skip("chromium is not installed: apt-get install chromium")
    return found


@pytest.mark.slow
def test_the_docs_page_shows_every_operation(chromium, start, environment, tmp_path):
    port = start("gateway", "--config", environment()).port

    dumped = subprocess.run(
        [chromium, *FLAGS, f"--user-data-dir={tmp_path}", "--dump-dom", f"http://127.0.0.1:{port}/docs"],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    ).stdout

    shown = set(re.findall(r'class="opblock-summary-path" data-path="([^"]+)"', dumped))
    document = subprocess.run(
        ["curl", "-sf", f"http://127.0.0.1:{port}/openapi.json"], capture_output=True, text=True, check=True
    ).stdout
    assert shown
    assert all(f'"{path}"' in document for path in shown)
    assert "Failed to load" not in dumped
    assert 'class="errors-wrapper"' not in dumped
