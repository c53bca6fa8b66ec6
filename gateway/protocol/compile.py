"""Which methods are reachable by their own names, and in which protocols: compiled once for each schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from gateway.backend import Backends
from gateway.blueprint import Blueprint
from gateway.codec import Codec
from gateway.edge import metrics
from gateway.edge.finish import Finishers
from gateway.edge.header import ResponseHeaders
from gateway.protocol.connect_stream import ConnectStream
from gateway.protocol.connect_unary import ConnectGet, ConnectUnary
from gateway.protocol.ending import Endings
from gateway.protocol.endpoint import Endpoint
from gateway.protocol.form import Form, forms
from gateway.protocol.framed_endpoint import FramedEndpoint, Way
from gateway.protocol.grpc_web import GrpcWeb, content_types
from gateway.protocol.procedure import Procedure, Unsupported
from gateway.protocol.target import Target
from mesh.call import Arity
from mesh.config.edge import Protocol
from mesh.telemetry.durations import Durations

CodecOf = Callable[[Descriptor], Codec]

_UNARY: Final = Arity.UNARY_UNARY
_BINARY: Final = GrpcWeb(is_text=False)
_TEXT: Final = GrpcWeb(is_text=True)
_STREAM: Final = ConnectStream()


def compile_procedures(
    blueprint: Blueprint,
    backends: Backends,
    return_headers: ResponseHeaders,
    codec_of: CodecOf,
    finishers: Finishers,
) -> dict[bytes, Procedure]:
    """Return the methods that REST exposes, by raw path; none where the settings name no further protocol."""
    if not blueprint.settings.protocols:
        return {}
    compiler = _Compiler(blueprint, backends, return_headers, codec_of, finishers)
    methods = {binding.full_method: binding.method for binding in blueprint.table.bindings}
    return {path.encode(): compiler.procedure(path, method) for path, method in methods.items()}


class _Compiler:
    def __init__(
        self,
        blueprint: Blueprint,
        backends: Backends,
        return_headers: ResponseHeaders,
        codec_of: CodecOf,
        finishers: Finishers,
    ) -> None:
        self._blueprint = blueprint
        self._settings = blueprint.settings
        self._backends = backends
        self._return_headers = return_headers
        self._endings = Endings(blueprint.schema.pool.FindMessageTypeByName, return_headers)
        self._codec_of = codec_of
        self._finishers = finishers
        self._rest: dict[str, set[str]] = {}
        for binding in blueprint.table.bindings:
            self._rest.setdefault(str(binding.template), set()).add(binding.http_method)

    def procedure(self, path: str, method: MethodDescriptor) -> Procedure:
        target = Target(
            method,
            plan=self._blueprint.plans.get(path),
            backends=self._backends,
            return_headers=self._return_headers,
            timeout=self._settings.request_timeout,
            max_message=self._settings.max_body_bytes,
        )
        both = {
            form.name: form
            for form in forms(self._codec_of(method.input_type), self._codec_of(method.output_type))
        }
        telemetry = self._blueprint.runtime.telemetry
        durations = metrics.durations(telemetry, "POST", path)
        post: dict[bytes, Endpoint] = {}
        get: Endpoint | None = None
        if Protocol.GRPC_WEB in self._settings.protocols:
            for form in both.values():
                post |= self._grpc_web(target, form, durations)
        if Protocol.CONNECT in self._settings.protocols:
            for form in both.values():
                content_type, endpoint = self._connect(target, form, durations)
                post[content_type] = endpoint
            if target.arity is _UNARY and _is_read(method):
                rest = self._blueprint.rests.get(path)
                get = ConnectGet(
                    target,
                    both,
                    endings=self._endings,
                    durations=metrics.durations(telemetry, "GET", path),
                    finish=self._finishers.get(None if rest is None else rest.cache, inherits=True),
                )
        return Procedure(
            post, get, Unsupported(path, tuple(post), durations), rest=frozenset(self._rest.get(path, ()))
        )

    def _grpc_web(self, target: Target, form: Form, durations: Durations) -> Mapping[bytes, Endpoint]:
        binary, text = content_types(form.name, is_text=False), content_types(form.name, is_text=True)
        ways = {False: Way(_BINARY, binary[0]), True: Way(_TEXT, text[0])}
        accepted = {**dict.fromkeys(binary, ways[False]), **dict.fromkeys(text, ways[True])}
        found: dict[bytes, Endpoint] = {}
        for is_text, names in ((False, binary), (True, text)):
            endpoint = FramedEndpoint(
                target,
                form,
                way=ways[is_text],
                accepted=accepted,
                is_text=is_text,
                endings=self._endings,
                compression=self._settings.compression,
                durations=durations,
                idle=self._settings.streaming.idle_timeout,
            )
            found |= dict.fromkeys(names, endpoint)
        return found

    def _connect(self, target: Target, form: Form, durations: Durations) -> tuple[bytes, Endpoint]:
        if target.arity is _UNARY:
            unary = ConnectUnary(target, form, endings=self._endings, durations=durations)
            return f"application/{form.name}".encode(), unary
        content_type = f"application/connect+{form.name}".encode()
        stream = FramedEndpoint(
            target,
            form,
            way=Way(_STREAM, content_type),
            endings=self._endings,
            compression=self._settings.compression,
            durations=durations,
            idle=self._settings.streaming.idle_timeout,
        )
        return content_type, stream


def _is_read(method: MethodDescriptor) -> bool:
    # "A request is considered to have no side effects if the associated RPC is annotated as such with the IdempotencyLevel
    # option" - the Connect protocol
    options = MethodOptions.FromString(method.GetOptions().SerializeToString())
    return bool(options.idempotency_level == MethodOptions.NO_SIDE_EFFECTS)
