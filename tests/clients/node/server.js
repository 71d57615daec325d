// A server: the one of the npm package `@fluent-org/logger`. ../README.md describes the command line.
"use strict";

const fs = require("node:fs");
const { createRequire } = require("node:module");
const path = require("node:path");
const { parseArgs } = require("node:util");

// `cargo xtask clients` installs the package there.
const installed = createRequire(path.join(__dirname, "../../../target/clients/node/package.json"));
const { FluentServer, EventTime } = installed("@fluent-org/logger");

// The server of the package writes an acknowledgement a moment before it gives out the records. Here an answer waits
// until they are in the file, so that killing this program breaks no promise.
class Server extends FluentServer {
  handleConnection(socket) {
    const write = socket.write.bind(socket);
    socket.write = (bytes) => setImmediate(() => write(bytes));
    // A sender that is killed resets its connections.
    socket.on("error", () => {});
    return super.handleConnection(socket);
  }
}

async function main() {
  const options = parse();
  const out = fs.openSync(options.out, "a");
  const server = new Server({
    listenOptions: { host: "127.0.0.1", port: Number(options.port) },
    tlsOptions: options.tls ? { cert: fs.readFileSync(options.cert), key: fs.readFileSync(options.key) } : undefined,
    security: options["shared-key"] && {
      serverHostname: "server",
      sharedKey: options["shared-key"],
      authorize: Boolean(options.user),
      userDict: { [options.user]: options.password },
    },
  });
  server.on("entry", (tag, time, record) => {
    fs.writeSync(out, `${JSON.stringify({ time: text(time), tag, ...record })}\n`);
  });
  await server.listen();
  process.stdout.write(`listening on 127.0.0.1:${server.port}\n`);
}

// A time as Weir's files have it.
function text(time) {
  if (!(time instanceof EventTime)) return new Date(time * 1000).toISOString();
  const seconds = new Date(time.epoch * 1000).toISOString().slice(0, 19);
  return `${seconds}.${String(time.nano).padStart(9, "0")}Z`;
}

function parse() {
  const text = (value) => ({ type: "string", ...(value !== undefined && { default: value }) });
  const { values } = parseArgs({
    options: {
      port: text("0"),
      out: text(),
      tls: { type: "boolean", default: false },
      cert: text(),
      key: text(),
      "shared-key": text(),
      user: text(""),
      password: text(""),
    },
  });
  if (values.out === undefined) throw new Error("--out is missing");
  return values;
}

main().catch((error) => {
  process.stderr.write(`${error.stack ?? error}\n`);
  process.exit(1);
});
