"""What answers one HTTP mapping: three callables chosen when the schema is loaded - bind, execute, render."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.backend import Backends
from gateway.bind.request import Bind
from gateway.compose import Plan
from gateway.edge.etag import refuse_unjudged
from gateway.edge.finish import Finish
from gateway.edge.header import ResponseHeaders
from gateway.exchange import ANSWER, Exchange
from gateway.render.error import Errors, headers_of
from gateway.render.reply import Renderers
from gateway.route.table import Binding
from mesh.call import Call
from mesh.telemetry.durations import Durations


class Endpoint:
    """One mapping, compiled. Subclasses execute."""

    __slots__ = (
        "_backends", "_bind", "_errors", "_max_body", "_renderers", "_return_headers", "_timeout",
        "binding", "durations", "finish", "method", "path",
    )  # fmt: skip

    def __init__(
        self,
        binding: Binding,
        *,
        bind: Bind,
        renderers: Renderers,
        backends: Backends,
        errors: Errors,
        return_headers: ResponseHeaders,
        timeout: float,
        max_body: int,
        durations: Durations,
        finish: Finish,
    ) -> None:
        self.binding = binding
        self.method = binding.full_method
        self.path = str(binding.template)
        self.durations = durations
        """How long requests took, by HTTP status."""
        self.finish = finish
        """What completes answers."""
        self._bind = bind
        self._renderers = renderers
        self._backends = backends
        self._errors = errors
        self._return_headers = return_headers
        self._timeout = timeout
        self._max_body = max_body

    async def answer(self, exchange: Exchange, captures: Sequence[str], parent: Call) -> None:
        """Answer a request whose headers have been read; raises RequestProblem for what does not fit."""
        if exchange.noted is not None:
            refuse_unjudged(exchange.method, exchange.noted)
        body = await exchange.read_body(self._max_body)
        message = self._bind(captures, exchange.scope["query_string"], body, exchange.content_type)
        exchange.phase = ANSWER
        await self._execute(exchange, message, parent)

    async def _execute(self, exchange: Exchange, message: Any, parent: Call) -> None:
        raise NotImplementedError

    def _limit(self, exchange: Exchange, parent: Call) -> float:
        """Give the backend calls their deadline, and say whether it is the client's choice."""
        asked = exchange.timeout
        parent.hurried = asked is not None and asked < self._timeout
        deadline = exchange.started + (self._timeout if asked is None else min(asked, self._timeout))
        parent.deadline = deadline
        return deadline

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.binding}>"


class UnaryEndpoint(Endpoint):
    """Answers with one backend call."""

    __slots__ = ()

    async def _execute(self, exchange: Exchange, message: Any, parent: Call) -> None:
        # The policy of the method has a default of its own; what the gateway allows comes in as the parent's deadline.
        self._limit(exchange, parent)
        direct = self._backends.find(self.method)
        headers = None
        if self._return_headers.any:
            reply = await direct.reply(
                self.method,
                message.SerializeToString(),
                timeout=exchange.timeout,
                metadata=exchange.sent_metadata,
                parent=parent,
            )
            outcome = reply.outcome
            headers = self._return_headers.read((*reply.initial, *outcome.trailing))
        else:
            outcome = await direct.unary(
                self.method,
                message.SerializeToString(),
                timeout=exchange.timeout,
                metadata=exchange.sent_metadata,
                parent=parent,
            )
        if outcome.code != 0:
            await self._errors.outcome(exchange, outcome)
            return
        content_type, data = self._renderers.wire(outcome.value)
        sent = headers_of(exchange, content_type)
        if headers:
            sent.extend(headers)
        await exchange.reply(200, sent, data)


class ComposedEndpoint(Endpoint):
    """Answers with a plan over backend calls."""

    __slots__ = ("_plan",)

    def __init__(self, binding: Binding, plan: Plan, **parts: Any) -> None:
        super().__init__(binding, **parts)
        self._plan = plan

    async def _execute(self, exchange: Exchange, message: Any, parent: Call) -> None:
        deadline = self._limit(exchange, parent)
        result = await self._backends.run(
            self._plan, message, deadline=deadline, metadata=exchange.sent_metadata, parent=parent
        )
        outcome = result.outcome
        if outcome.code != 0:
            await self._errors.outcome(exchange, outcome)
            return
        content_type, data = self._renderers.message(outcome.value)
        headers = headers_of(exchange, content_type)
        if result.omitted:
            # The next answer may be whole.
            headers.append((b"cache-control", b"no-store"))
        await exchange.reply(200, headers, data)
