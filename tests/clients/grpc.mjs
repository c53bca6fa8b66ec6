// node grpc.mjs DESCRIPTORS HOST:PORT: @grpc/grpc-js against the gateway's gRPC port; prints what it was told.
import { readFileSync } from "node:fs";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { echoService } from "./schema.mjs";

const [descriptors, address] = process.argv.slice(2);
const service = echoService(readFileSync(descriptors));
const definition = Object.fromEntries(
  service.methods.map((method) => [
    method.localName,
    {
      path: `/${service.typeName}/${method.name}`,
      requestStream: method.methodKind.startsWith("client") || method.methodKind.startsWith("bidi"),
      responseStream: method.methodKind.startsWith("server") || method.methodKind.startsWith("bidi"),
      requestSerialize: (fields) => Buffer.from(toBinary(method.input, create(method.input, fields))),
      responseDeserialize: (bytes) => fromBinary(method.output, bytes),
    },
  ]),
);
const client = new (grpc.makeGenericClientConstructor(definition, service.typeName))(
  address,
  grpc.credentials.createInsecure(),
);

const told = (error) => ({ code: grpc.status[error.code], message: error.details, trailer: error.metadata.get("x-trail")[0] });
const within = (seconds) => ({ deadline: Date.now() + seconds * 1000 });

function unary(method, fields, options = {}, metadata = new grpc.Metadata()) {
  return new Promise((resolve) => {
    const seen = {};
    const call = client[method](fields, metadata, options, (error, response) =>
      setImmediate(() => resolve(error ? { error: told(error) } : { ...seen, response })),
    );
    call.on("metadata", (headers) => (seen.header = headers.get("x-lead")[0]));
    call.on("status", (status) => (seen.trailer = status.metadata.get("x-trail")[0]));
  });
}

async function read(stream) {
  const texts = [];
  try {
    for await (const message of stream) texts.push(message.text);
    return { texts };
  } catch (error) {
    return { texts, error: told(error) };
  }
}

function gather(...requests) {
  return new Promise((resolve) => {
    const call = client.gather((error, response) => resolve(error ? { error: told(error) } : response.text));
    for (const request of requests) call.write(request);
    call.end();
  });
}

function chat(...requests) {
  const call = client.chat();
  for (const request of requests) call.write(request);
  call.end();
  return read(call);
}

const metadata = new grpc.Metadata();
metadata.set("x-demo", "one");
metadata.set("x-demo-bin", Buffer.from([0, 1]));
const hi = await unary("say", { text: "hi" }, within(5), metadata);
console.log(
  JSON.stringify({
    unary: {
      header: hi.header,
      trailer: hi.trailer,
      text: hi.response.text,
      demo: [hi.response.metadata["x-demo"], hi.response.metadata["x-demo-bin"]],
      limited: hi.response.remaining > 0 && hi.response.remaining <= 5.5,
    },
    refused: await unary("say", { text: "no ü", code: 5 }),
    late: await unary("say", { hang: true }, within(0.3)),
    hidden: await unary("hidden", {}),
    count: await read(client.count({ text: "n", messages: 3 })),
    broken: await read(client.count({ text: "n", messages: 2, code: 9 })),
    gather: await gather({ text: "a" }, { text: "b" }),
    chat: await chat({ text: "a" }, { text: "b" }),
    chatBroken: await chat({ text: "a" }, { text: "no", code: 9 }),
  }),
);
process.exit(0);
