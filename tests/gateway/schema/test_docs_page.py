"""The documentation page and what it may load."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import re

from gateway.schema.docs_page import read_pages


class Elements(html.parser.HTMLParser):
    """What a page loads, and its inline scripts."""

    def __init__(self, page):
        super().__init__()
        self.loaded, self.scripts, self.policy, self._inside = [], [], "", False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.loaded += [given[name] for name in ("src", "href") if name in given]
        self._inside = tag == "script" and "src" not in given
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]

    def handle_data(self, data):
        if self._inside:
            self.scripts.append(data)
            self._inside = False


def page_of(**options):
    return Elements(read_pages(**{"title": "Shop"} | options)["/docs"].body.decode())


def test_the_page_and_its_assets_say_utf8():
    pages = read_pages(title="Shop")
    assert {path: page.content_type for path, page in pages.items()} == {
        "/docs": "text/html; charset=utf-8",
        "/docs/swagger-ui-bundle.js": "text/javascript; charset=utf-8",
        "/docs/swagger-ui.css": "text/css; charset=utf-8",
    }
    assert b"SwaggerUIBundle" in pages["/docs/swagger-ui-bundle.js"].body
    assert b".swagger-ui" in pages["/docs/swagger-ui.css"].body


def test_the_page_loads_nothing_but_its_assets():
    pages = read_pages(title="Shop")
    assert set(page_of().loaded) == {"data:,", *pages} - {"/docs"}
    assert not re.search(rb"https?://", pages["/docs"].body)
    assert not re.search(rb"url\(['\"]?(https?:)?//", pages["/docs/swagger-ui.css"].body)


def test_the_page_allows_its_own_script_and_no_other():
    page = page_of()
    (script,) = page.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}';" in page.policy
    assert "default-src 'none'" in page.policy


def test_no_public_validator_is_asked():
    assert '"validatorUrl":null' in page_of().scripts[0]


def test_titles_and_addresses_cannot_break_out():
    page = page_of(title="</title><script>alert(1)</script>", document="/x</script><script>alert(2)</script>")
    (script,) = page.scripts
    assert "alert(2)" in script
    assert "<" not in script
