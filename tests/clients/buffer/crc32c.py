"""CRC-32C with the standard library alone.

A step takes four bytes, by two tables of 65,536 numbers: a register that takes four bytes becomes the XOR of what its two
halves alone would become. That is four times as fast as a byte at a time, and quick enough for 100 MB. Arrays, because
lists of numbers of that length do not fit into a cache.
"""

import array
import functools
import sys

POLYNOMIAL = 0x82F63B78


def _after(register, zeros):
    """The register after so many bytes of zeros."""
    for _ in range(8 * zeros):
        register = (register >> 1) ^ (POLYNOMIAL if register & 1 else 0)
    return register


def _table(shift, bits):
    """What each number of `bits` bits, moved to the left by `shift`, becomes after four bytes of zeros."""
    table = [0]
    for bit in range(bits):
        alone = _after(1 << (shift + bit), 4)
        table += [alone ^ other for other in table]
    return array.array("I", table)


BYTES = [_after(byte, 1) for byte in range(256)]
# Making the tables takes longer than a few pages take without them.
WORTH_IT = 16 << 10


@functools.cache
def _tables():
    return _table(0, 16), _table(16, 16)


def crc32c(start, data):
    """`crc(start, data)` of the page."""
    register = start ^ 0xFFFFFFFF
    data = memoryview(data)
    whole = len(data) & ~3 if len(data) >= WORTH_IT or _tables.cache_info().currsize else 0
    if whole:
        low, high = _tables()
        words = array.array("I")
        words.frombytes(data[:whole])
        if sys.byteorder == "big":
            words.byteswap()
        for word in words:
            register ^= word
            register = low[register & 0xFFFF] ^ high[register >> 16]
    for byte in data[whole:]:
        register = (register >> 8) ^ BYTES[(register ^ byte) & 0xFF]
    return register ^ 0xFFFFFFFF
