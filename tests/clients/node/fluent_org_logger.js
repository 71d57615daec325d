// The npm package `@fluent-org/logger`. It has many acknowledgements outstanding.
"use strict";

exports.MODES = {
  message: "Message",
  forward: "Forward",
  packed: "PackedForward",
  compressed: "CompressedPackedForward",
};

// How long the logger waits for an acknowledgement, and how long between its tries.
const ACK_TIMEOUT_MS = 5000;
const RETRY_MS = 200;

exports.open = (installed, options) => {
  const { FluentClient } = installed("@fluent-org/logger");
  const client = new FluentClient(options.tag, {
    eventMode: exports.MODES[options.mode],
    socket: {
      host: options.host,
      port: options.port,
      // Node wants the name that the certificate must have apart from where to connect.
      tls: options.tls && { ...options.tls, servername: options.host },
      reconnect: { delay: RETRY_MS, maxDelay: RETRY_MS },
    },
    security: options.security,
    ack: options.ack ? { ackTimeout: ACK_TIMEOUT_MS } : undefined,
    eventRetry: { attempts: Infinity, delay: RETRY_MS, maxDelay: RETRY_MS },
    milliseconds: true,
    disconnect: { waitForPending: true },
  });
  client.socketOn("error", (error) => process.stderr.write(`${error.message}\n`));
  return {
    send: (record) => client.emit(record),
    close: () => client.disconnect(),
  };
};
