// The npm package `fluent-logger`. It asks for one acknowledgement at a time.
"use strict";

exports.MODES = { message: "Message", packed: "PackedForward", compressed: "CompressedPackedForward" };

// A message that fails is not sent again by the logger, and one record per message is all that may be lost sight of.
exports.inFlight = ({ mode }) => (mode === "message" ? 1 : undefined);

// How long the logger waits for an acknowledgement, and before it connects again.
const ACK_TIMEOUT_MS = 3000;
const RECONNECT_MS = 200;

exports.open = (installed, options) => {
  const logger = installed("fluent-logger").createFluentSender(options.tag, {
    host: options.host,
    port: options.port,
    timeout: 3.0,
    tls: Boolean(options.tls),
    tlsOptions: options.tls,
    security: options.security,
    eventMode: exports.MODES[options.mode],
    requireAckResponse: options.ack,
    ackResponseTimeout: ACK_TIMEOUT_MS,
    reconnectInterval: RECONNECT_MS,
    internalLogger: { info() {}, error: (...words) => console.error(...words) },
  });
  // Without a listener an error of the socket would end the program.
  logger.on("error", () => {});
  const emit = (record) => new Promise((done) => logger.emit(record, done));
  return {
    async send(record) {
      while (await emit(record));
    },
    close: () => new Promise((done) => logger.end(null, null, done)),
  };
};
