// Asks one URL again and again over HTTP/2 without TLS until standard input ends; prints how the requests went.
import http2 from "node:http2";

const [origin, path] = process.argv.slice(2);
const failed = [];
let answered = 0;
let done = false;
process.stdin.on("end", () => { done = true; }).resume();

function connect() {
  const session = http2.connect(origin);
  session.on("error", () => {});
  // RFC 9113, 6.8: what is in flight goes on; what comes next takes another connection.
  session.on("goaway", () => session.close());
  return session;
}

function ask(session) {
  return new Promise((resolve) => {
    const request = session.request({ ":path": path });
    let status = 0;
    request.on("response", (headers) => { status = headers[":status"]; });
    request.on("error", () => {});
    request.on("close", () => resolve({ status, reset: request.rstCode }));
    request.resume().end();
  });
}

async function client() {
  let session = connect();
  while (!done) {
    if (session.closed || session.destroyed) session = connect();
    const { status, reset } = await ask(session);
    if (status === 200 && reset === 0) answered += 1;
    else failed.push({ status, reset });
  }
  session.close();
}

await Promise.all([client(), client(), client(), client()]);
console.log(JSON.stringify({ answered, failed }));
