"""A real browser's EventSource and WebSocket, in a page of another origin that is allowed to use the API."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from typing import Any

import pytest

pytestmark = pytest.mark.slow

PAGE = """<!doctype html><body><script>
const base = "127.0.0.1:%d", seen = {events: [], ends: 0, failures: [], frames: [], close: 0};
const source = new EventSource("http://" + base + "/v1/topics/go?count=5&end=hang");
source.onmessage = (event) => {
  seen.events.push(event.lastEventId);
  if (event.lastEventId === "5") { source.close(); }
};
const whole = new EventSource("http://" + base + "/v1/topics/go?count=1");
whole.addEventListener("end", () => { seen.ends += 1; whole.close(); });
const broken = new EventSource("http://" + base + "/v1/topics/go?count=1&end=ABORTED");
broken.addEventListener("error", (event) => { seen.failures.push(JSON.parse(event.data).code); broken.close(); });
const socket = new WebSocket("ws://" + base + "/v1/chat");
socket.onopen = () => { socket.send('{"text": "hello"}'); socket.send(""); };
socket.onmessage = (event) => seen.frames.push(JSON.parse(event.data).result.text);
socket.onclose = (event) => { seen.close = event.code; };
setTimeout(() => {
  document.title = "done"; document.body.textContent = JSON.stringify(seen);
  fetch("/done", {method: "POST", body: JSON.stringify(seen)});
}, 2500);
</script></body>"""


@pytest.fixture
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed: .ci/run installs it")
        pytest.skip("chromium is not installed: apt-get install chromium")
    return found


async def test_event_source_and_websocket(chromium, serve, tmp_path):
    gateway_port = 0
    told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
        body = await reader.readexactly(int(length[1])) if length else b""
        if head.startswith("POST") and not told.done():
            told.set_result(json.loads(body))
        page = (PAGE % gateway_port).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n%s" % (len(page), page)
        )
        await writer.drain()
        writer.close()

    pages = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = pages.sockets[0].getsockname()[1]
    gateway = serve(f"cors: {{allow_origins: ['http://127.0.0.1:{port}']}}")
    gateway_port = await asyncio.to_thread(lambda: gateway.port)
    browser = await asyncio.create_subprocess_exec(
        chromium,
        *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
        *(f"--user-data-dir={tmp_path / 'profile'}", "--remote-debugging-port=0"),
        f"http://127.0.0.1:{port}/",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        seen = await asyncio.wait_for(told, 60)
    finally:
        browser.terminate()
        await browser.wait()
        pages.close()
    assert seen == {
        "events": ["1", "2", "3", "4", "5"],
        "ends": 1,
        "failures": [10],
        "frames": ["HELLO"],
        "close": 1000,
    }
