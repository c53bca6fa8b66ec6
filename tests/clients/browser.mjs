// In a page of another origin: @connectrpc/connect-web against a gateway; what it was told goes to the page's own server.
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { run } from "./scenario.mjs";
import { echoService } from "./schema.mjs";

const { baseUrl, descriptors } = window.given;
const service = echoService(Uint8Array.from(atob(descriptors), (character) => character.charCodeAt(0)));
const transports = {
  "connect+json": createConnectTransport({ baseUrl }),
  "connect+proto": createConnectTransport({ baseUrl, useBinaryFormat: true }),
  "connect get": createConnectTransport({ baseUrl, useHttpGet: true }),
  "grpc-web+proto": createGrpcWebTransport({ baseUrl }),
  "grpc-web+json": createGrpcWebTransport({ baseUrl, useBinaryFormat: false }),
};

const told = {};
for (const [name, transport] of Object.entries(transports)) {
  try {
    told[name] = await run(service, transport, []);
  } catch (error) {
    told[name] = { failed: String(error) };
  }
}
await fetch("/told", { method: "POST", body: JSON.stringify(told) });
