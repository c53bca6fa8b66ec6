"""What the gateway itself answers: its pages and health, OPTIONS and preflights, and paths or methods that are not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.edge.target import misformed
from gateway.live import READY
from gateway.problem import RequestProblem
from gateway.render.error import headers_of, headers_without_content
from mesh.call import Code

if TYPE_CHECKING:
    from gateway.edge.cors import CrossOrigin
    from gateway.exchange import Exchange
    from gateway.live import Live

READS: Final = frozenset({"GET", "HEAD"})

_NO_METHOD: Final = ""
"""A method that no route names: looking for it finds what the path allows."""
_EVERY_METHOD: Final = ("DELETE", "GET", "PATCH", "POST", "PUT")


async def answer(live: Live, exchange: Exchange, allow: tuple[str, ...], *, draining: bool) -> None:
    """Answer a request without a route, whose path allows these methods; raise RequestProblem when nothing is there."""
    method, path = exchange.method, exchange.path
    if path in live.pages and method in READS:
        page = live.pages[path]
        if page is None:
            ready = not draining and live.backends.is_open
            await _answer_health(exchange, serving=ready or path != READY)
            return
        headers = headers_of(exchange, page.content_type.encode())
        # Assets carry no version in their names: have the browser ask again.
        headers.append((b"cache-control", b"no-cache"))
        exchange.finish, exchange.variants = live.finish_page, page.variants
        await exchange.reply(200, headers, page.body)
        return
    if path == b"*" and method == "OPTIONS":
        # RFC 9110, 9.3.7: "only useful as a "ping" or "no-op" type of method".
        await exchange.reply(204, headers_without_content(exchange), b"")
        return
    wrong = misformed(path)
    if wrong is not None:
        raise wrong
    methods = _known_methods(live, path, allow)
    if not methods:
        shown = path[:200].decode("utf-8", "replace")
        raise RequestProblem(f'no method is mapped to "{shown}"', code=Code.NOT_FOUND)
    listed = ", ".join(methods).encode()
    if method == "OPTIONS":
        headers = headers_without_content(exchange)
        headers.append((b"allow", listed))
        await exchange.reply(204, headers, b"")
    else:
        await live.errors.not_allowed(exchange, listed)


async def answer_preflight(
    live: Live, exchange: Exchange, origin: bytes, cross_origin: CrossOrigin | None
) -> None:
    """Say what a page may send here, before it does."""
    # A route for every method, of OPTIONS too, allows what is asked for.
    match = live.trie.find(_NO_METHOD, exchange.path)
    methods = _known_methods(live, exchange.path, match.allow if match.route is None else _EVERY_METHOD)
    if not methods:
        await answer(live, exchange, (), draining=False)
        return
    headers = headers_without_content(exchange)
    headers.append((b"allow", ", ".join(methods).encode()))
    if cross_origin is not None:
        headers.extend(cross_origin.preflight(origin, methods))
    await exchange.reply(204, headers, b"")


async def _answer_health(exchange: Exchange, *, serving: bool) -> None:
    status, word = (200, b'{"status":"SERVING"}') if serving else (503, b'{"status":"NOT_SERVING"}')
    headers = headers_of(exchange)
    headers.append((b"cache-control", b"no-store"))
    await exchange.reply(status, headers, word)


def _known_methods(live: Live, path: bytes, allow: tuple[str, ...]) -> list[str]:
    """Return what a path can be asked for, given what its routes allow; nothing for one that is not there."""
    procedure = live.procedures.get(path)
    methods = {*allow, *(("GET",) if path in live.pages else ()), *(procedure.allow if procedure else ())}
    if methods:
        methods |= {"OPTIONS", "HEAD"} if "GET" in methods else {"OPTIONS"}
    return sorted(methods)
