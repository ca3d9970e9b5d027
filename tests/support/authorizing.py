"""Authorization services for tests: one over HTTP, one over gRPC, and the messages of the latter made by protobuf.

The descriptors are written from envoy's .proto files, so that what our encoder wrote is read by the real library.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2, timestamp_pb2

from mesh.protocol.ext_authz_grpc import METHOD

_KINDS = {"string": 9, "bytes": 12, "int64": 3, "int32": 5, "uint32": 13, "bool": 8, "enum": 5}


def _add(file: Any, name: str, *fields: tuple[str, int, str], parent: Any = None) -> Any:
    """A message; a field is (name, number, type), where `*` before the type is repeated and `%` a map to it."""
    made = (parent.nested_type if parent is not None else file.message_type).add()
    made.name = name
    for field_name, number, kind in fields:
        one = made.field.add()
        one.name, one.number, one.label = field_name, number, 3 if kind[0] in "*%" else 1
        plain = kind.lstrip("*%")
        if kind[0] == "%":
            entry = made.nested_type.add()
            entry.name = "".join(part.title() for part in field_name.split("_")) + "Entry"
            entry.options.map_entry = True
            for index, (part, of) in enumerate((("key", "string"), ("value", plain)), 1):
                inner = entry.field.add()
                inner.name, inner.number, inner.label = part, index, 1
                _type(inner, of)
            one.type, one.type_name = 11, f".ext_authz_test.{name}.{entry.name}"
        else:
            _type(one, plain)
    return made


def _type(one: Any, kind: str) -> None:
    if kind in _KINDS:
        one.type = _KINDS[kind]
    else:
        one.type, one.type_name = 11, kind if kind[0] == "." else f".ext_authz_test.{kind}"


@cache
def messages() -> dict[str, Any]:
    """Message classes by name: CheckRequest, CheckResponse and what they are made of."""
    pool = descriptor_pool.DescriptorPool()
    for known in (struct_pb2, timestamp_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(
        name="ext_authz_test.proto",
        package="ext_authz_test",
        syntax="proto3",
        dependency=["google/protobuf/struct.proto", "google/protobuf/timestamp.proto"],
    )
    _add(file, "Peer", ("service", 2, "string"), ("principal", 4, "string"))
    _add(
        file,
        "HttpRequest",
        ("id", 1, "string"),
        ("method", 2, "string"),
        ("headers", 3, "%string"),
        ("path", 4, "string"),
        ("host", 5, "string"),
        ("scheme", 6, "string"),
        ("size", 9, "int64"),
        ("protocol", 10, "string"),
        ("body", 11, "string"),
        ("raw_body", 12, "bytes"),
    )
    _add(file, "Request", ("time", 1, ".google.protobuf.Timestamp"), ("http", 2, "HttpRequest"))
    _add(file, "Metadata", ("filter_metadata", 1, "%.google.protobuf.Struct"))
    _add(
        file,
        "AttributeContext",
        ("source", 1, "Peer"),
        ("destination", 2, "Peer"),
        ("request", 4, "Request"),
        ("metadata_context", 11, "Metadata"),
    )
    _add(file, "CheckRequest", ("attributes", 1, "AttributeContext"))
    _add(file, "Status", ("code", 1, "int32"), ("message", 2, "string"))
    _add(file, "HeaderValue", ("key", 1, "string"), ("value", 2, "string"), ("raw_value", 3, "bytes"))
    _add(file, "BoolValue", ("value", 1, "bool"))
    _add(
        file,
        "HeaderValueOption",
        ("header", 1, "HeaderValue"),
        ("append", 2, "BoolValue"),
        ("append_action", 3, "int32"),
    )
    _add(file, "HttpStatus", ("code", 1, "int32"))
    _add(file, "DeniedHttpResponse", ("status", 1, "HttpStatus"), ("body", 3, "string"))
    _add(
        file,
        "OkHttpResponse",
        ("headers", 2, "*HeaderValueOption"),
        ("headers_to_remove", 5, "*string"),
        ("query_parameters_to_remove", 8, "*string"),
    )
    _add(
        file,
        "CheckResponse",
        ("status", 1, "Status"),
        ("denied_response", 2, "DeniedHttpResponse"),
        ("ok_response", 3, "OkHttpResponse"),
    )
    pool.Add(file)
    names = [one.name for one in file.message_type]
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"ext_authz_test.{name}"))
        for name in names
    }


YES = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
NO = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 11\r\nx-secret: s\r\n\r\nthe details"


@dataclass
class HttpService:
    """Answers with what `answer` gives for a head and a body; None: never; nothing: by hanging up."""

    answer: Callable[[bytes, bytes], bytes | None]
    port: int = 0
    asked: list[tuple[bytes, bytes]] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    open: dict[Any, asyncio.StreamWriter] = field(default_factory=dict)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open[asyncio.current_task()] = writer
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                )
                body = await reader.readexactly(length)
                self.asked.append((head, body))
                self.came.set()
                said = self.answer(head, body)
                if said is None:
                    await reader.read()
                    break
                if not said:
                    break
                writer.write(said)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.gone.set()
            writer.close()
            self.open.pop(asyncio.current_task())


@asynccontextmanager
async def http_service(answer: Callable[[bytes, bytes], bytes | None]) -> AsyncIterator[HttpService]:
    """A service over HTTP on a free port."""
    service = HttpService(answer)
    server = await asyncio.start_server(service.handle, "127.0.0.1", 0)
    service.port = server.sockets[0].getsockname()[1]
    try:
        yield service
    finally:
        server.close()
        for writer in service.open.values():
            writer.close()
        await asyncio.gather(*service.open)


@asynccontextmanager
async def grpc_service(
    answer: Callable[[Any], Any], serving: tuple[bytes, bytes] | None = None
) -> AsyncIterator[int]:
    """A service over gRPC on a free port; `answer` gets a CheckRequest and gives a CheckResponse.

    `serving`: key and certificate (PEM), for TLS."""
    import grpc
    import grpc.aio

    made = messages()

    async def check(request: Any, context: Any) -> Any:
        said = answer(request)
        if said is None:
            await asyncio.sleep(60)
        return said

    handler = grpc.unary_unary_rpc_method_handler(
        check,
        request_deserializer=made["CheckRequest"].FromString,
        response_serializer=lambda message: (
            message if isinstance(message, bytes) else message.SerializeToString()
        ),
    )
    service, _, name = METHOD.strip("/").partition("/")
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {name: handler}),))
    if serving is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([serving]))
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
