"""How the pieces of a request's body become the wire forms of its messages, one at a time, when each is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

from gateway.protocol.envelope import Splitter
from gateway.protocol.form import Form
from gateway.protocol.framed import FramedAnswer
from gateway.protocol.text import TextReader


async def read_messages(
    pieces: AsyncIterable[bytes], answer: FramedAnswer, form: Form, *, is_text: bool
) -> AsyncIterator[bytes]:
    """Yield the messages; raises RequestProblem for what is none."""
    text = TextReader() if is_text else None
    splitter = Splitter(answer.limit)
    async for piece in pieces:
        for envelope in splitter.feed(piece if text is None else text.feed(piece)):
            yield form.read(answer.open(envelope))
    if text is not None:
        for envelope in splitter.feed(text.end()):
            yield form.read(answer.open(envelope))
    splitter.end()
