"""Which POSTs are refused because a page of another origin is behind them."""

from __future__ import annotations

import pytest

from gateway.edge.cross_site import CrossSite
from gateway.problem import RequestProblem
from mesh.call import Code

FORM = "application/x-www-form-urlencoded"
OTHER = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
RULE = CrossSite(("https://shop.example.com", "https://*.shop.example", "*"))

ROWS = [
    # rule, content type, headers, whether it passes
    ("no browser", FORM, {}, True),
    ("the API's own page", FORM, {"sec-fetch-site": "same-origin", "origin": "https://api.example"}, True),
    ("the visitor's own doing", FORM, {"sec-fetch-site": "none"}, True),
    ("another site's page", FORM, OTHER, False),
    ("another page of the same site", FORM, {"sec-fetch-site": "same-site", "origin": "https://b.example"}, False),
    ("another page without an origin", FORM, {"sec-fetch-site": "cross-site"}, False),
    ("a word that is not known yet", FORM, {"sec-fetch-site": "elsewhere"}, False),
    ("what the browser says of the site outweighs the host", FORM,
     {"sec-fetch-site": "cross-site", "origin": "https://api.example", "host": "api.example"}, False),
    ("an old browser, the same origin", FORM, {"origin": "http://api.example:8080", "host": "API.example:8080"}, True),
    ("an old browser, another port", FORM, {"origin": "http://api.example:81", "host": "api.example"}, False),
    ("an old browser, another origin", FORM, {"origin": "https://evil.example", "host": "api.example"}, False),
    ("a page that may not say where it is from", FORM, {"origin": "null", "host": "api.example"}, False),
    ("an origin without a host", FORM, {"origin": "https://"}, False),
    ("an origin that is listed", FORM, {"sec-fetch-site": "cross-site", "origin": "https://shop.example.com"}, True),
    ("an origin that a pattern lists", FORM, {"origin": "https://a.shop.example", "host": "api.example"}, True),
    ("parts", 'Multipart/Form-Data; boundary="x"', OTHER, False),
    ("text", "text/plain;charset=UTF-8", OTHER, False),
    ("no content type, as a Blob has none", "", OTHER, False),
    ("what browsers ask about first", "application/json; charset=utf-8", OTHER, True),
    ("any other type", "image/png", OTHER, True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("content_type", "headers", "passes"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_a_post(content_type, headers, passes):
    sent = [(name.encode(), value.encode()) for name, value in headers.items()]
    if passes:
        RULE.check(sent, content_type)
        return
    with pytest.raises(RequestProblem) as caught:
        RULE.check(sent, content_type)
    assert caught.value.code == Code.PERMISSION_DENIED
    assert "may not send this: cors.allow_origins does not name it" in caught.value.message
