"""Reads the directory of a disk buffer and tells what is in it, by docs/BUFFER_FORMAT.md alone. ../README.md has the command line.

It takes no lock and writes nothing, so the router may be running: what it adds or removes meanwhile is no error.
"""

import argparse
import base64
import dataclasses
import json
import os
import re
import struct
import sys

import layout
import unpack

WHOLE, DAMAGED, USAGE, REFUSED = 0, 1, 2, 3
NAME = re.compile(r"[0-9a-f]{16}\.seg")


def main():
    arguments = parse()
    try:
        return tell(arguments)
    except layout.Refused as error:
        print(f"reader.py: {error}; this reads format {layout.FORMAT}", file=sys.stderr)
        return REFUSED
    except BrokenPipeError:
        return WHOLE
    except OSError as error:
        print(f"reader.py: {error}", file=sys.stderr)
        return USAGE


def parse():
    parser = argparse.ArgumentParser(prog="reader.py", allow_abbrev=False)
    parser.add_argument("directory")
    parser.add_argument("--records", action="store_true", help="the records of held frames too")
    parser.add_argument("--entries", action="store_true", help="with each record its bytes, in base64")
    parser.add_argument("--window", action="store_true", help="what the file `window` knows")
    parser.add_argument("--summary", action="store_true", help="only the last line")
    return parser.parse_args()


class Buffer:
    """A directory: its segments in order, and which frames are done."""

    def __init__(self, directory):
        self.directory = directory
        names = sorted(name for name in os.listdir(directory) if NAME.fullmatch(name))
        self.format_id = read_format(os.path.join(directory, "FORMAT"))
        if not names and self.format_id is None:
            raise FileNotFoundError(f"{directory} has neither segments nor FORMAT: it is no buffer")
        self.segments = []
        for name in names:
            try:
                self.segments.append(layout.Segment(os.path.join(directory, name), int(name[:16], 16)))
            except FileNotFoundError:
                # A running router has removed it, so all of it was done.
                continue
        whole = [segment for segment in self.segments if segment.header == "whole"]
        self.id = whole[-1].buffer if whole else self.format_id
        for segment in self.segments:
            if segment.header == "whole" and (segment.buffer != self.id or segment.named_first != segment.first):
                segment.header = "foreign"
        self.void = [(segment.void_from, segment.first) for segment in whole if segment.void_from]
        for segment in self.segments:
            segment.scan(self.is_void)
        # Behind the segments: what was done before a frame was read is not held.
        self.done, made = self.read_state()
        self.missing = self.find_missing(made)
        self.groups = self.find_groups()

    def is_void(self, sequence):
        return any(first <= sequence < end for first, end in self.void)

    def find_missing(self, made):
        """Segments that were made, are not removed, and are nowhere."""

        def is_nowhere(first):
            places = (self.directory, os.path.join(self.directory, "quarantine"))
            return not any(os.path.exists(os.path.join(place, f"{first:016x}.seg")) for place in places)

        absent = {first for first in made if is_nowhere(first)}
        # A running router says that it removes a segment before it does.
        return sorted(absent & self.read_state()[1]) if absent else []

    def read_state(self):
        """Which frames are done, and the segments that were made and are not removed."""
        done, made = [], set()
        for body in layout.notes(os.path.join(self.directory, "state"), 24, self.id or 0):
            kind, first, last = struct.unpack("<IQQ", body)
            if kind == 1 and first <= last:
                done.append((first, last))
            elif kind == 2 and first == last:
                made.add(first)
            elif kind == 3 and first == last:
                made.discard(first)
        done.sort()
        merged = []
        for first, last in done:
            if merged and first <= merged[-1][1] + 1:
                merged[-1][1] = max(merged[-1][1], last)
            else:
                merged.append([first, last])
        return merged, made

    def is_done(self, sequence):
        low, high = 0, len(self.done)
        while low < high:
            middle = (low + high) // 2
            if self.done[middle][1] < sequence:
                low = middle + 1
            else:
                high = middle
        return low < len(self.done) and self.done[low][0] <= sequence

    def frames(self):
        for segment in self.segments:
            for frame in segment.frames:
                yield segment, frame

    def find_groups(self):
        """For each group: the frame that completes it, and whether the frame may have been lost to damage."""
        groups = {}
        for segment, frame in self.frames():
            if not frame.damaged and frame.group is not None:
                group = groups.setdefault(frame.group, {"last": None, "end": None})
                group["end"] = (segment.first, frame.offset)
                if frame.completes:
                    group["last"] = frame
        lost = [
            (segment.first, damage.offset)
            for segment in self.segments
            if segment.header != "foreign"
            for damage in segment.damage
            if damage.lost
        ]
        for group in groups.values():
            group["may_be_lost"] = any(at > group["end"] for at in lost)
        return groups

    def fate(self, frame):
        """What becomes of a frame at the next start."""
        if frame.damaged:
            return "damaged"
        if self.is_done(frame.sequence):
            return "done"
        if frame.group is None:
            return "held"
        group = self.groups[frame.group]
        if group["last"] is None and not group["may_be_lost"]:
            return "open"
        return "held"

    def quarantined(self):
        try:
            return sorted(os.listdir(os.path.join(self.directory, "quarantine")))
        except FileNotFoundError:
            return []


def read_format(path):
    """The id in `FORMAT`; `None` without the file, and when it is not as written."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return None
    if len(lines) > 1 and lines[0] == "weir buffer" and lines[1].startswith("format "):
        if lines[1] != f"format {layout.FORMAT}":
            raise layout.Refused(f"{path} says: {lines[1]}")
        if len(lines) > 2 and re.fullmatch("id [0-9a-f]{32}", lines[2]):
            return int(lines[2][3:], 16)
    return None


def tell(arguments):
    buffer = Buffer(arguments.directory)
    say = (lambda **line: None) if arguments.summary else (lambda **line: print(json.dumps(line)))
    fates = {}
    counts = {"frames": 0, "records": 0, "bytes": 0, "lost_records": 0, "damaged_ranges": 0, "cut_writes": 0}
    for segment in buffer.segments:
        tell_segment(say, segment, counts)
        for frame in segment.frames:
            fate = buffer.fate(frame)
            counts["frames"] += 1
            fates.setdefault(fate, [0, 0])
            fates[fate][0] += 1
            fates[fate][1] += frame.count
            tell_frame(say, buffer, segment, frame, fate)
            if arguments.records and fate == "held":
                tell_records(say, buffer, frame, arguments.entries)
    if arguments.window:
        for body in layout.notes(os.path.join(arguments.directory, "window"), 40, buffer.id or 0):
            sequence, time_ms, seconds = struct.unpack_from("<QQI", body, 16)
            say(kind="known", digest=body[:16].hex(), sequence=sequence, time_ms=time_ms, seconds=seconds)
    counts["records"] = fates.get("held", [0, 0])[1]
    summary = {
        "kind": "summary",
        "id": None if buffer.id is None else f"{buffer.id:032x}",
        "segments": len(buffer.segments),
        **counts,
        "fates": {fate: {"frames": frames, "records": records} for fate, (frames, records) in fates.items()},
        "done": buffer.done,
        "missing": [f"{first:016x}.seg" for first in buffer.missing],
        "quarantined": buffer.quarantined(),
    }
    print(json.dumps(summary))
    return DAMAGED if counts["damaged_ranges"] or buffer.missing else WHOLE


def tell_segment(say, segment, counts):
    counts["bytes"] += segment.length
    say(
        kind="segment",
        name=os.path.basename(segment.path),
        header=segment.header,
        length=segment.length,
        created_ms=segment.created_ms,
        sealed=segment.sealed,
    )
    for damage in segment.damage:
        counts["cut_writes"] += damage.cut
        counts["damaged_ranges"] += damage.lost
        if damage.lost:
            counts["lost_records"] += damage.records or 0
        say(kind="damage", segment=os.path.basename(segment.path), **dataclasses.asdict(damage))


def tell_frame(say, buffer, segment, frame, fate):
    say(
        kind="frame",
        segment=os.path.basename(segment.path),
        offset=frame.offset,
        length=frame.end - frame.offset,
        sequence=frame.sequence,
        count=frame.count,
        stored_ms=frame.stored_ms,
        fate=fate,
        tag=frame.tag,
        group=frame.group,
        completes=frame.completes,
        origin=origin_of(buffer, frame),
        known_by=frame.known_by,
    )


def origin_of(buffer, frame):
    """The origin of a frame; of a piece, with the chunk id that its group has."""
    if frame.origin is None:
        return None
    origin = dict(frame.origin)
    group = buffer.groups.get(frame.group)
    if not origin["chunk"] and group and group["last"] and group["last"].origin:
        origin["chunk"] = group["last"].origin["chunk"]
    origin["chunk"] = base64.b64encode(origin["chunk"]).decode()
    return origin


def tell_records(say, buffer, frame, with_entry):
    for index, (time, record, entry) in enumerate(unpack.entries(frame.events)):
        line = {
            "kind": "record",
            "id": f"{buffer.id:032x}-{frame.sequence}-{index}",
            "tag": frame.tag,
            "time": time,
            "record": record,
        }
        if with_entry:
            line["entry"] = base64.b64encode(entry).decode()
        say(**line)


if __name__ == "__main__":
    sys.exit(main())
