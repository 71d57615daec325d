"""MessagePack, as much of it as a record can hold, with the standard library alone."""

import struct

# What stands behind a first byte: how a number is laid out, or the layout of the length of text, bytes, arrays and maps.
NUMBERS = {
    0xCA: ">f", 0xCB: ">d",
    0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}
LENGTHS = {
    0xC4: ">B", 0xC5: ">H", 0xC6: ">I",
    0xD9: ">B", 0xDA: ">H", 0xDB: ">I",
    0xDC: ">H", 0xDD: ">I",
    0xDE: ">H", 0xDF: ">I",
    0xC7: ">B", 0xC8: ">H", 0xC9: ">I",
}
FIXED = {0xC0: None, 0xC2: False, 0xC3: True}


class NotMessagePack(Exception):
    """The bytes are not what they should be."""


def entries(events):
    """The entries of a frame: for each its time as (seconds, nanoseconds), its record, and its bytes."""
    at = 0
    while at < len(events):
        try:
            value, end = _value(events, at)
        except (IndexError, struct.error, RecursionError) as error:
            raise NotMessagePack(f"the entry at {at}: {error}") from error
        if not isinstance(value, list) or len(value) < 2 or not isinstance(value[1], dict):
            raise NotMessagePack(f"the entry at {at} is not [time, record]")
        yield _time(value[0]), value[1], events[at:end]
        at = end


def _time(value):
    # Newer senders put metadata beside the time.
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict) and value.get("$ext") == 0 and len(value["$bytes"]) == 16:
        return struct.unpack(">II", bytes.fromhex(value["$bytes"]))
    if isinstance(value, (int, float)):
        seconds = int(value // 1)
        return seconds, int((value - seconds) * 1e9)
    raise NotMessagePack(f"{value!r} is not a time")


def _value(data, at):
    """The value at an offset, and the offset behind it."""
    first = data[at]
    at += 1
    if first < 0x80:
        return first, at
    if first >= 0xE0:
        return first - 0x100, at
    if first < 0x90:
        return _map(data, at, first & 0x0F)
    if first < 0xA0:
        return _array(data, at, first & 0x0F)
    if first < 0xC0:
        return _text(data, at, first & 0x1F)
    if first in FIXED:
        return FIXED[first], at
    if first in NUMBERS:
        return _number(data, at, NUMBERS[first])
    if 0xD4 <= first <= 0xD8:
        return _extension(data, at, 1 << (first - 0xD4))
    if first not in LENGTHS:
        raise NotMessagePack(f"byte {first:#04x} at {at - 1}")
    length, at = _number(data, at, LENGTHS[first])
    if first in (0xDC, 0xDD):
        return _array(data, at, length)
    if first in (0xDE, 0xDF):
        return _map(data, at, length)
    if first in (0xC7, 0xC8, 0xC9):
        return _extension(data, at, length)
    return _text(data, at, length)


def _number(data, at, layout):
    return struct.unpack_from(layout, data, at)[0], at + struct.calcsize(layout)


def _bytes(data, at, length):
    if at + length > len(data):
        raise NotMessagePack(f"{length} bytes at {at} reach beyond the end")
    return bytes(data[at : at + length]), at + length


def _text(data, at, length):
    """Text, or bytes: what is no UTF-8 is told by its digits."""
    value, at = _bytes(data, at, length)
    try:
        return value.decode(), at
    except UnicodeDecodeError:
        return {"$bytes": value.hex()}, at


def _extension(data, at, length):
    kind, at = _number(data, at, ">b")
    value, at = _bytes(data, at, length)
    return {"$ext": kind, "$bytes": value.hex()}, at


def _array(data, at, length):
    values = []
    for _ in range(length):
        value, at = _value(data, at)
        values.append(value)
    return values, at


def _map(data, at, length):
    record = {}
    for _ in range(length):
        key, at = _value(data, at)
        record[key if isinstance(key, str) else repr(key)], at = _value(data, at)
    return record, at
