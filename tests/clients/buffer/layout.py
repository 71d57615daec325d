"""The files of a disk buffer as docs/BUFFER_FORMAT.md lays them out: segments, frames, and the records of `state` and `window`.

Written from that page alone: where the two differ, one of them is wrong.
"""

import dataclasses
import mmap
import struct

from crc32c import crc32c

FORMAT = 1
SEGMENT_HEADER = 64
HEADER, TRAILER = 44, 4
PAYLOAD_MAX = 67_108_864
FRAMES_MAX = 65_536
MAGIC = 0x4D524657
DATA, END = 1, 2
PIECE, LAST = 1, 2


class Refused(Exception):
    """What must not be touched: another format."""


@dataclasses.dataclass
class Frame:
    """A frame with a whole header. `damaged` when its payload is not what was written."""

    offset: int
    kind: int
    flags: int
    payload: int
    meta: int
    count: int
    before: int
    sequence: int
    stored_ms: int
    crc: int
    damaged: bool = False
    tag: str = ""
    group: int | None = None
    origin: dict | None = None
    known_by: dict | None = None
    events: bytes = b""

    @property
    def end(self):
        return self.offset + HEADER + self.payload + TRAILER

    @property
    def completes(self):
        return self.flags & LAST != 0


@dataclasses.dataclass
class Damage:
    """Bytes that are no frame."""

    offset: int
    length: int
    # Less than a frame at the end of the file: a write that was cut off.
    cut: bool = False
    # Nothing but zeros up to the end of the file.
    zeros: bool = False
    # How many records were in it, when that can be told.
    records: int | None = None

    @property
    def lost(self):
        return not self.cut and not self.zeros


class Segment:
    """One file: its header, its frames, and what is damaged."""

    def __init__(self, path, first):
        self.path, self.first = path, first
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        self.length = len(self.data)
        self.buffer = self.named_first = self.created_ms = self.void_from = self.salt = None
        self.header = self._read_header()
        self.frames, self.damage, self.sealed = [], [], False

    def _read_header(self):
        """`whole`, `damaged`, `unknown` when no frame tells the salt, or `empty` when nothing was stored."""
        head = self.data[:SEGMENT_HEADER]
        if len(head) == SEGMENT_HEADER and head[:8] == b"WEIRSEG\n":
            (crc,) = struct.unpack_from("<I", head, 60)
            if crc32c(0, head[:60]) == crc:
                version, _, self.salt = struct.unpack_from("<HHI", head, 8)
                if version != FORMAT:
                    raise Refused(f"{self.path} has format {version}")
                self.buffer = int.from_bytes(head[16:32], "big")
                self.named_first, self.created_ms, self.void_from = struct.unpack_from("<QQQ", head, 32)
                return "whole"
        if self.length <= SEGMENT_HEADER:
            return "empty"
        self.salt = self._find_salt()
        return "unknown" if self.salt is None else "damaged"

    def _find_salt(self):
        field = struct.unpack_from("<I", self.data, 12)[0] if self.length >= SEGMENT_HEADER else None
        votes = {}
        for at in range(SEGMENT_HEADER, self.length - HEADER + 1):
            # Most offsets are no frame, and kind and flags say so sooner than the CRC.
            if self.data[at + 4] not in (DATA, END) or self.data[at + 5] not in (0, 1, 3):
                continue
            (word,) = struct.unpack_from("<I", self.data, at)
            salt = word ^ MAGIC
            if self._header_at(at, salt) is None:
                continue
            votes[salt] = votes.get(salt, int(salt == field)) + 1
        return max(votes, key=lambda salt: (votes[salt], -(salt ^ field).bit_count()), default=None)

    def _header_at(self, at, salt):
        """The frame whose whole header stands at an offset."""
        if at + HEADER > self.length:
            return None
        fields = struct.unpack_from("<IBBHIIIIQQI", self.data, at)
        magic, kind, flags, _, payload, meta, count, before, sequence, stored_ms, crc = fields
        if magic != MAGIC ^ salt or crc32c(salt, self.data[at : at + 40]) != crc:
            return None
        flags_are_known = flags in (0, PIECE, PIECE | LAST) if kind == DATA else flags == 0
        if kind not in (DATA, END) or not flags_are_known:
            return None
        if payload > PAYLOAD_MAX or meta > payload:
            return None
        if not self.first <= sequence <= self.first + FRAMES_MAX:
            return None
        return Frame(at, kind, flags, payload, meta, count, before, sequence, stored_ms, crc)

    def scan(self, is_void):
        """Reads all frames up to the first void one, and finds what is damaged."""
        if self.header in ("foreign", "unknown"):
            self.damage.append(Damage(0, self.length))
        if self.header not in ("whole", "damaged"):
            return
        if self.header == "damaged":
            self.damage.append(Damage(0, SEGMENT_HEADER, records=0))
        at, records, unknown, following = SEGMENT_HEADER, 0, None, self.first
        while at < self.length:
            frame = self._header_at(at, self.salt)
            if frame is None or frame.end > self.length:
                unknown = self._damage(at, frame is not None)
                at = unknown.offset + unknown.length
                continue
            if frame.kind != END and is_void(frame.sequence):
                missing = range(following, frame.sequence)
                if unknown is not None and all(is_void(sequence) for sequence in missing):
                    self.damage.remove(unknown)
                return
            if unknown is not None:
                # What is missing between the counts before and behind was in the damage.
                unknown.records = max(0, frame.before - records)
                records, unknown = frame.before, None
            self._take(frame)
            records += frame.count
            if frame.kind != END:
                following = frame.sequence + 1
            at = frame.end
        if unknown is not None and unknown.lost and is_void(following):
            self.damage.remove(unknown)

    def _damage(self, start, has_header):
        end = self._search(start + 1)
        at_end = end == self.length
        cut = at_end and (has_header or self.length - start < HEADER)
        zeros = at_end and not any(self.data[start:end])
        damage = Damage(start, end - start, cut and not zeros, zeros)
        self.damage.append(damage)
        return damage

    def _search(self, at):
        magic = struct.pack("<I", MAGIC ^ self.salt)
        while (at := self.data.find(magic, at)) >= 0:
            if self._header_at(at, self.salt) is not None:
                return at
            at += 1
        return self.length

    def _take(self, frame):
        at = frame.offset + HEADER
        payload = self.data[at : at + frame.payload]
        (crc,) = struct.unpack_from("<I", self.data, at + frame.payload)
        frame.damaged = crc32c(frame.crc, payload) != crc or not read_metadata(frame, payload)
        if frame.damaged:
            self.damage.append(Damage(frame.offset, frame.end - frame.offset, records=frame.count))
        if frame.kind == END:
            self.sealed |= not frame.damaged
        else:
            self.frames.append(frame)


def read_metadata(frame, payload):
    """Fills in what the metadata of a frame says. `False` when it is not as the page says."""
    if frame.kind == END:
        return frame.payload == 0
    frame.events = payload[frame.meta :]
    data = payload[: frame.meta]
    try:
        tag, at = counted(data, 0)
        frame.tag = tag.decode(errors="replace")
        if frame.flags & PIECE:
            (frame.group,) = struct.unpack_from("<Q", data, at)
            at += 8
        flags = data[at]
        at += 1
        if flags & 1:
            chunk, at = counted(data, at)
            (first,) = struct.unpack_from("<I", data, at)
            at += 4
            places = None
            if flags & 4:
                bitmap, at = counted(data, at)
                places = [first + n for n in range(8 * len(bitmap)) if bitmap[n // 8] >> n % 8 & 1]
            frame.origin = {"chunk": chunk, "first": first, "places": places, "identifies": flags & 2 != 0}
        if flags & 8:
            digest = data[at : at + 16]
            (seconds,) = struct.unpack_from("<I", data, at + 16)
            frame.known_by = {"digest": digest.hex(), "seconds": seconds}
    except (struct.error, IndexError):
        return False
    return True


def counted(data, at):
    """Bytes behind their length, and the offset behind them."""
    (length,) = struct.unpack_from("<I", data, at)
    end = at + 4 + length
    if end > len(data):
        raise IndexError(end)
    return bytes(data[at + 4 : end]), end


def notes(path, length, buffer):
    """The records of `state` or `window` with a right CRC, without it; none without the file."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return
    start = crc32c(0, buffer.to_bytes(16, "big"))
    for at in range(0, len(data) - length + 1, length):
        body = data[at : at + length - 4]
        if struct.unpack_from("<I", data, at + length - 4)[0] == crc32c(start, body):
            yield body
