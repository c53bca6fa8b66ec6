"""@connectrpc/connect-web in headless Chromium, in a page of another origin: Connect and gRPC-Web, with CORS."""

from __future__ import annotations

import base64
import functools
import http.server
import json
import queue
import subprocess
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.clients.conftest import HERE
from tests.clients.told import check

pytestmark = pytest.mark.slow

TRANSPORTS = ("connect+json", "connect+proto", "connect get", "grpc-web+proto", "grpc-web+json")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Every name but the loopback address is unknown to this browser.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


class Page(NamedTuple):
    """Where the page is, and what it reports; its origin is not the gateway's."""

    url: str
    told: queue.Queue[dict[str, Any]]


@pytest.fixture
def page(node, gateway, descriptors, tmp_path) -> Iterator[Page]:
    subprocess.run(
        [
            node,
            str(HERE / "node_modules/esbuild/bin/esbuild"),
            str(HERE / "browser.mjs"),
            "--bundle",
            "--format=esm",
            f"--outfile={tmp_path}/browser.js",
            "--log-level=warning",
        ],
        check=True,
        timeout=60,
    )
    given = json.dumps(
        {
            "baseUrl": f"http://127.0.0.1:{gateway.http}",
            "descriptors": base64.b64encode(descriptors.read_bytes()).decode(),
        }
    )
    (tmp_path / "index.html").write_text(
        f"<!doctype html><title>waiting</title><body><script>window.given = {given}</script>"
        '<script type="module" src="browser.js"></script>'
    )
    told: queue.Queue[dict[str, Any]] = queue.Queue()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_POST(self) -> None:
            told.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    handler = functools.partial(Handler, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Page(f"http://127.0.0.1:{server.server_address[1]}/", told)
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_page_of_another_origin_is_told_the_same_over_every_transport(chromium, page, tmp_path):
    browser = subprocess.Popen(
        [chromium, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--remote-debugging-port=0", page.url],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        told = page.told.get(timeout=90)
    finally:
        browser.terminate()
        browser.wait(20)

    assert set(TRANSPORTS) == set(told)
    for transport in TRANSPORTS:
        check(told[transport])
