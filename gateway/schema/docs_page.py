"""Decides what the API documentation page is: Swagger UI over the OpenAPI document, without a network."""

from __future__ import annotations

import base64
import hashlib
import html
import importlib.resources
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

_FILES: Final = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
}
# An empty icon, so that the browser asks for none.
_ICON: Final = "data:,"


@dataclass(frozen=True, slots=True)
class Page:
    """What to answer with."""

    content_type: str
    body: bytes
    variants: dict[Any, bytes] = field(default_factory=dict, compare=False, repr=False)
    """The body compressed, by coding: made when somebody asks for it."""


def read_pages(*, title: str, path: str = "/docs", document: str = "/openapi.json") -> Mapping[str, Page]:
    """Return the page and its two assets by path: `/docs`, `/docs/swagger-ui-bundle.js` and so on.

    `document` is where the browser finds the OpenAPI document; it may be relative to the page.
    """
    folder = importlib.resources.files("gateway.schema") / "swagger_ui"
    pages = {path: Page("text/html; charset=utf-8", _render(title, path, document))}
    for name, content_type in _FILES.items():
        pages[f"{path}/{name}"] = Page(content_type, (folder / name).read_bytes())
    return pages


def _render(title: str, path: str, document: str) -> bytes:
    # validatorUrl: Swagger UI would send the document's address to a public validator unless told not to.
    options = {"url": document, "deepLinking": True, "validatorUrl": None, "tryItOutEnabled": True}
    # "<" is escaped so that no title or address can end the script element.
    settings = orjson.dumps(options).decode().replace("<", "\\u003c")
    script = f'window.ui = SwaggerUIBundle(Object.assign({settings}, {{dom_id: "#swagger-ui"}}));'
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # Only the two assets, this very script, and calls to the API may be made; connect-src is open because the
    # document may list servers on other hosts.
    policy = (
        f"default-src 'none'; script-src 'self' 'sha256-{allowed}'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src data:; connect-src *; base-uri 'none'; form-action 'none'"
    )
    base = html.escape(path)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<link rel="icon" href="{_ICON}">
<link rel="stylesheet" href="{base}/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{base}/swagger-ui-bundle.js"></script>
<script>{script}</script>
</body>
</html>
""".encode()
