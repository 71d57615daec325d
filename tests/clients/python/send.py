"""Sends records with the Python fluent-logger. ../README.md describes the command line."""

import argparse
import json
import sys
import time

import mixed
from fluent import sender


def main():
    arguments = parse()
    logger = sender.FluentSender(
        arguments.tag,
        host=arguments.host,
        port=arguments.port,
        nanosecond_precision=arguments.time != "seconds",
        # A record that cannot be packed is a mistake of this program, not something to replace in silence.
        forward_packet_error=False,
        msgpack_kwargs={"unicode_errors": "surrogateescape"},
    )
    deadline = time.monotonic() + arguments.patience
    sent = 0
    for record in records(arguments):
        # A record that cannot be sent stays in the logger's buffer and goes out with the next one.
        logger.emit(None, record)
        sent += 1
        if arguments.rate:
            time.sleep(1 / arguments.rate)
    while logger.pendings and time.monotonic() < deadline:
        time.sleep(0.05)
        flush(logger)
    unsent = bool(logger.pendings)
    logger.close()
    print(f"sent {sent} acked 0", flush=True)
    if unsent:
        print(f"not everything was sent: {logger.last_error}", file=sys.stderr)
    return 1 if unsent else 0


def flush(logger):
    """Tries once to send what waits in the logger's buffer, which has no method for it."""
    with logger.lock:
        logger._send_internal(b"")


def records(arguments):
    numbers = range(arguments.first, arguments.first + arguments.count)
    if arguments.records == "ids":
        return ({"id": n, "n": n, "message": f"record {n}"} for n in numbers)
    if arguments.records == "mixed":
        return map(mixed.record, numbers)
    with open(arguments.records, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def parse():
    parser = argparse.ArgumentParser(prog="send.py", allow_abbrev=False)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tag", required=True)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--records", default="ids")
    parser.add_argument("--mode", choices=["message"], default="message")
    parser.add_argument("--time", choices=["seconds", "nanoseconds"], default="nanoseconds")
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--patience", type=float, default=60)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
