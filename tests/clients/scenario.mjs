// What every client of the Connect family does, and what it was told: the Python test knows what is right.
import { Code, ConnectError, createClient } from "@connectrpc/connect";

function told(error) {
  const failure = ConnectError.from(error);
  return {
    code: Code[failure.code],
    message: failure.rawMessage,
    details: failure.details.map((detail) => detail.type),
    trailer: failure.metadata.get("x-trail"),
  };
}

async function read(messages) {
  const texts = [];
  try {
    for await (const message of messages) texts.push(message.text);
    return { texts };
  } catch (error) {
    return { texts, error: told(error) };
  }
}

async function* said(...requests) {
  yield* requests;
}

// Each request waits for the answer to the one before: the conversation only goes on over a full duplex connection.
async function converse(client) {
  let next;
  const turn = () => new Promise((resolve) => (next = resolve));
  async function* requests() {
    for (const text of ["one", "two", "three"]) {
      const answered = turn();
      yield { text };
      await answered;
    }
  }
  const texts = [];
  for await (const message of client.chat(requests())) {
    texts.push(message.text);
    next();
  }
  return { texts };
}

async function cancel(client) {
  const controller = new AbortController();
  const answers = client.count({ text: "n", messages: 1, hang: true }, { signal: controller.signal });
  const texts = [];
  try {
    for await (const message of answers) {
      texts.push(message.text);
      controller.abort();
    }
    return { texts };
  } catch (error) {
    return { texts, error: told(error) };
  }
}

async function unary(client) {
  const seen = {};
  const response = await client.say(
    { text: "hi" },
    {
      headers: { "x-demo": "one", "x-demo-bin": "AAE" },
      timeoutMs: 5000,
      onHeader: (headers) => (seen.header = headers.get("x-lead")),
      onTrailer: (trailers) => (seen.trailer = trailers.get("x-trail")),
    },
  );
  return {
    ...seen,
    text: response.text,
    demo: [response.metadata["x-demo"], response.metadata["x-demo-bin"]],
    limited: response.remaining > 0 && response.remaining <= 5.5,
  };
}

const fails = (call) => call.then(() => ({ error: null }), (error) => ({ error: told(error) }));

// `kinds`: which kinds of streams the client can send.
export async function run(service, transport, kinds) {
  const client = createClient(service, transport);
  const results = {
    unary: await unary(client),
    large: (await client.say({ text: "x".repeat(100_000) })).text.length,
    look: (await client.look({ text: "hi" })).text,
    refused: await fails(client.say({ text: "no ü", code: 5 })),
    late: await fails(client.say({ hang: true }, { timeoutMs: 300 })),
    count: await read(client.count({ text: "n", messages: 3 })),
    none: await read(client.count({ text: "n" })),
    early: await read(client.count({ text: "no", code: 9 })),
    broken: await read(client.count({ text: "n", messages: 2, code: 9 })),
    overdue: await read(client.count({ text: "n", messages: 1, hang: true }, { timeoutMs: 300 })),
    cancelled: await cancel(client),
  };
  if (kinds.includes("client")) {
    results.gather = (await client.gather(said({ text: "a" }, { text: "b" }))).text;
    results.gatherRefused = await fails(client.gather(said({ text: "a" }, { text: "no", code: 9 })));
  }
  if (kinds.includes("bidi")) {
    results.chat = await converse(client);
    results.chatBroken = await read(client.chat(said({ text: "a" }, { text: "no", code: 9 })));
  }
  return results;
}
