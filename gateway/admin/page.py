"""The pages of the admin port, made of what every worker answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import parse_qs

from gateway.asgi import Receive, Scope, Send
from mesh.telemetry.package import installed

_TEXT: Final = b"text/plain; charset=utf-8"
_JSON: Final = b"application/json"
_PROMETHEUS: Final = b"text/plain; version=0.0.4; charset=utf-8"
_PATHS: Final = {
    "/healthz": "whether it runs",
    "/readyz": "whether it takes requests",
    "/workers": "its processes: since when, how many requests are in flight",
    "/metrics": "for Prometheus",
    "/routes": "what is exposed; ?format=text for people",
    "/config": "the settings that hold",
    "/policy": "what happens to a method's calls; ?method=package.Service/Method",
    "/schema": "which schema each worker serves, since when",
}


class Desk(Protocol):
    """Who passes questions on to the workers."""

    async def ask(self, question: str, argument: str = "") -> Mapping[int, Any]:
        """Return the answers of those workers that have one."""


class Answer(NamedTuple):
    """One page."""

    body: bytes
    content_type: bytes = _TEXT
    status: int = 200


class Pages:
    """An ASGI application of pages that are only read."""

    def __init__(self, desk: Desk, only: frozenset[str] | None = None) -> None:
        """Serve all pages, or those of `only`."""
        self._desk = desk
        self._paths = frozenset(_PATHS) if only is None else only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
            return
        if scope["method"] in {"GET", "HEAD"}:
            query = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode()).items()}
            answer = await self.answer(scope["path"], query)
        else:
            answer = Answer(b"only GET is known here\n", status=405)
        headers = [
            (b"content-type", answer.content_type),
            (b"content-length", b"%d" % len(answer.body)),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})

    async def answer(self, path: str, query: Mapping[str, str]) -> Answer:
        """Return the page at a path."""
        if path == "/" and self._paths == frozenset(_PATHS):
            return Answer("".join(f"{one:<10} {about}\n" for one, about in _PATHS.items()).encode())
        if path not in self._paths:
            return Answer(b"there is no such page; / lists them\n", status=404)
        if path == "/healthz":
            return _json({"status": "SERVING"})
        if path == "/metrics":
            return await self._metrics()
        if path == "/policy" and not query.get("method"):
            return Answer(b"say which: /policy?method=package.Service/Method\n", status=400)
        if path in {"/readyz", "/workers"}:
            return _readiness(await self._desk.ask("state"), details=path == "/workers")
        answers = await self._desk.ask(path[1:], query.get("method", ""))
        found = {index: answer for index, answer in sorted(answers.items()) if answer is not None}
        if not found:
            return Answer(b"no worker is ready\n", status=503)
        if path == "/schema":
            return _json({"workers": {str(index): answer for index, answer in found.items()}})
        # The workers of one gateway have one configuration: what one says holds for all.
        first = next(iter(found.values()))
        if path == "/policy":
            text, status = (first["text"], 200) if "text" in first else (first["problem"], 404)
            return Answer(f"{text}\n".encode(), status=status)
        if path == "/routes" and query.get("format") == "text":
            return Answer(render_routes(first).encode())
        return _json(first)

    async def _metrics(self) -> Answer:
        if not installed("prometheus_client"):
            text = "needs prometheus_client, which is not installed; pip install 'grpc-mesh[metrics]'\n"
            return Answer(text.encode(), status=501)
        from mesh.telemetry.export.prometheus import render

        series = await self._desk.ask("metrics")
        states = await self._desk.ask("state")
        processes = {str(index): state["pid"] for index, state in states.items()}
        return Answer(
            render({str(index): one for index, one in series.items()}, "worker", processes), _PROMETHEUS
        )

    def __repr__(self) -> str:
        return f"<Pages {sorted(self._paths)}>"


def _readiness(states: Mapping[int, Any], *, details: bool) -> Answer:
    ready = [state["ready"] for state in states.values()]
    # One is enough: the others' connections are not taken.
    status = 200 if any(ready) or details else 503
    if details:
        return _json({"workers": {str(index): state for index, state in sorted(states.items())}})
    word = "SERVING" if status == 200 else "NOT_SERVING"
    return _json({"status": word, "workers": len(ready), "ready": sum(ready)}, status)


def render_routes(found: Mapping[str, Any]) -> str:
    """Return the routes as lines for people."""
    rows = found["routes"]
    width = max((len(row["path"]) for row in rows), default=0)
    lines = [
        f"{row['http_method']:<7} {row['path']:<{width}}  {row['method']}  {row['kind']}  {row['target']}"
        for row in rows
    ]
    lines += [f"not exposed: {one['method']} ({one['reason']})" for one in found["not_exposed"]]
    return "\n".join([*lines, ""])


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(json.dumps(value, indent=2).encode() + b"\n", _JSON, status)
