// Sends records with one of the two Node loggers. ../README.md describes the command line.
"use strict";

const fs = require("node:fs");
const { createRequire } = require("node:module");
const path = require("node:path");
const { parseArgs } = require("node:util");

// `cargo xtask clients` installs the packages there.
const installed = createRequire(path.join(__dirname, "../../../target/clients/node/package.json"));
const CLIENTS = {
  "fluent-logger": require("./fluent_logger"),
  "@fluent-org/logger": require("./fluent_org_logger"),
};
// Records that were handed to the logger and are not settled yet.
const IN_FLIGHT = 1000;

async function main() {
  const options = parse();
  // The loggers try again without end; the whole program does not.
  setTimeout(() => fail(`not everything was sent within ${options.patience} s`), options.patience * 1000);
  const client = CLIENTS[options.client];
  if (!client) throw new Error(`--client is one of ${Object.keys(CLIENTS).join(", ")}`);
  if (!client.MODES[options.mode]) throw new Error(`${options.client} knows --mode ${Object.keys(client.MODES).join(", ")}`);
  const logger = client.open(installed, { ...options, tls: tls(options), security: security(options) });
  const records = list(options);
  let [next, acked] = [0, 0];
  // Each worker settles one record after the other; together they keep the logger's queue filled.
  const worker = async () => {
    while (next < records.length) {
      const [id, record] = records[next++];
      await logger.send(record);
      if (options.ack) {
        acked += 1;
        process.stdout.write(`acked ${id}\n`);
      }
    }
  };
  const workers = Array.from({ length: Math.min(client.inFlight?.(options) ?? IN_FLIGHT, records.length) }, worker);
  await Promise.all(workers);
  await logger.close();
  // A logger may still be connecting again after it was closed.
  process.stdout.write(`sent ${records.length} acked ${acked}\n`, () => process.exit(0));
}

// What Node's TLS is told, or nothing.
function tls({ tls, ca }) {
  return tls ? { ca: fs.readFileSync(ca) } : undefined;
}

// What both loggers want for the handshake, or nothing.
function security({ "shared-key": sharedKey, user, password }) {
  return sharedKey && { clientHostname: "sender", sharedKey, username: user, password };
}

// Records with their ids.
function list({ records, count, first }) {
  if (records === "ids") {
    return Array.from({ length: count }, (_, i) => [first + i, { id: first + i, n: first + i, message: `record ${first + i}` }]);
  }
  const lines = fs.readFileSync(records, "utf8").split("\n").filter((line) => line.trim());
  return lines.map((line, i) => {
    const record = JSON.parse(line);
    return [record.id ?? i, record];
  });
}

function parse() {
  const text = (value) => ({ type: "string", ...(value !== undefined && { default: value }) });
  const { values } = parseArgs({
    options: {
      client: text(),
      host: text("127.0.0.1"),
      port: text(),
      tag: text(),
      count: text("1"),
      first: text("0"),
      records: text("ids"),
      mode: text("message"),
      ack: { type: "boolean", default: false },
      tls: { type: "boolean", default: false },
      ca: text(),
      "shared-key": text(),
      user: text(""),
      password: text(""),
      patience: text("60"),
    },
  });
  for (const name of ["client", "port", "tag"]) {
    if (values[name] === undefined) throw new Error(`--${name} is missing`);
  }
  if (values.tls && !values.ca) throw new Error("--tls needs --ca");
  const numbers = ["port", "count", "first", "patience"].map((name) => [name, Number(values[name])]);
  return { ...values, ...Object.fromEntries(numbers) };
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

main().catch((error) => fail(error.stack ?? error));
