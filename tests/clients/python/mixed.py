"""Records of every kind that a Python logger can send. Record `n` depends on `n` alone: shape `n % 20`, with `n` in it."""

import math

import msgpack

SHAPES = 20


def record(n):
    """The record with the number `n`. README.md describes the shapes."""
    common = {"n": n, "noise": "yes" if n % 10 == 0 else "no", "secret": f"key-{n}"}
    return common | _shape(n)


def _shape(n):
    match n % SHAPES:
        case 0 | 10:
            return {"text": f"noise {n}"}
        case 1:
            pod = {"name": f"web-{n}", "labels": {"app": "web", "tier": "front end"}}
            return {"kubernetes": {"pod": pod, "host": "node-1"}, "empty": {}}
        case 2:
            return {"list": [1, [2, [3, []]], {"a": [None, True, "x"]}], "none": []}
        case 3:
            return {"korean": "로그 기록", "arabic": "سجل", "accents": "Ünïcödé e\u0301", "last": "\u07ff\u0800\uffff", "ключ": "значение"}
        case 4:
            return {"emoji": "🙂", "family": "👩\u200d👩\u200d👧", "flag": "🇰🇷", "🔑": "key", "top": "\U0010ffff"}
        case 5:
            return {"control": "".join(map(chr, range(0x20))), "others": "\x7f\x80\x9f\u2028\u2029", "line\nbreak": "a\r\nb\tc"}
        case 6:
            return {"quotes": 'say "hi"', "slashes": "C:\\temp\\ / </script>", 'k"\\': "odd key", "escaped": "\\u0041\\n"}
        case 7:
            return {"bytes": b"plain text", "korean": "기록".encode(), "none": b""}
        case 8:
            return {"bytes": bytes([0, 255, 128, 254]), "deep": {"bytes": bytes(range(256))}}
        case 9:
            edges = [0, 1, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53 + 1]
            return {"high": 2**63 - 1, "low": -(2**63), "up": edges, "down": [-1, -32, -33, -128, -129, -32768, -32769, -(2**31) - 1]}
        case 11:
            return {"largest": 2**64 - 1, "above": 2**63}
        case 12:
            return {"nan": math.nan, "up": math.inf, "down": -math.inf, "list": [1.5, math.nan]}
        case 13:
            return {"tenth": 0.1, "one": 1.0, "zero": -0.0, "large": 1e300, "small": 5e-324, "even": 1e22, "tiny": 1e-7, "sum": 123456789.125, "minus": -2.5}
        case 14:
            return {"yes": True, "no": False, "nothing": None, "text": ""}
        case 15:
            return {"number": "42", "float": "1.0", "word": "null", "date": "2026-01-02T03:04:05Z", "spaces": "  a  "}
        case 16:
            return {"keys": {1: "one", -7: "minus seven", False: "false", None: "nil", 2.5: "float"}}
        case 17:
            time = msgpack.ExtType(0, (1_700_000_000).to_bytes(4) + (123_456_789).to_bytes(4))
            return {"time": time, "ext": msgpack.ExtType(42, b"\x01\x02\xff")}
        case 18:
            # With `surrogateescape` these go out as single bytes that are not UTF-8, inside a string.
            return {"broken": "a\udcffb", "cut": "x\udce2\udc82", "whole": "€"}
        case _:
            return {"long": "x" * 40_000, "deep": _nested(15), "wide": {f"k{i}": i for i in range(100)}}


def _nested(levels):
    return {"level": levels, "in": _nested(levels - 1)} if levels > 1 else {"level": levels}
