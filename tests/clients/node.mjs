// node node.mjs DESCRIPTORS '{"protocol": "connect", ...}': @connectrpc/connect-node against a gateway; prints what it was told.
import { readFileSync } from "node:fs";
import {
  compressionBrotli,
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { run } from "./scenario.mjs";
import { echoService } from "./schema.mjs";

const [descriptors, text] = process.argv.slice(2);
const { protocol, compress, kinds, ...options } = JSON.parse(text);
const create = { connect: createConnectTransport, "grpc-web": createGrpcWebTransport, grpc: createGrpcTransport }[protocol];
const codings = { gzip: compressionGzip, br: compressionBrotli };
if (compress) {
  options.sendCompression = codings[compress];
  options.acceptCompression = [codings[compress]];
  options.compressMinBytes = 10;
}
const results = await run(echoService(readFileSync(descriptors)), create(options), kinds);
console.log(JSON.stringify(results));
process.exit(0);
