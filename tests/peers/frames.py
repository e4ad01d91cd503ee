#!/usr/bin/python3
"""Frames for drivers to send, and the check of what came back.

  frames.py make FILE --frames N [--most BYTES] [--first N]
      writes N frames of all sizes from 14 bytes to BYTES, in pcap's format. Each has its number in it,
      counted from --first, and bytes that follow from it.
  frames.py check FILE --frames N [--most BYTES] [--first N]
      compares FILE, frame by frame, with what `make` of the same options wrote, MAC addresses
      swapped: all of them, in order, and no others.
  frames.py watch FILE [--most BYTES] [--straight]
      reads a pipe or file to its end: each frame has to be one that `make` wrote, whole, and none may
      come twice or be overtaken. Some may be missing. Prints how many there were, now and then.
      --straight: addresses as they were sent.
  frames.py generated FILE --bytes N
      that all frames of FILE have N bytes.

The last line is "frames: PASS ..." or "frames: FAIL ...", and the exit code says the same.
"""

import argparse
import struct
import sys

HEADER = struct.Struct('<IHHiIII')
RECORD = struct.Struct('<IIII')
MAGIC = 0xA1B2C3D4
SNAPLEN = 65535
ETHERNET = 1
DESTINATION = bytes.fromhex('525400123456')
SOURCE = bytes.fromhex('0200000000aa')
SMALLEST = 14
# A type that nobody looks into.
TYPE = b'\x88\xb5'
# The number comes first in the payload, of frames that have room.
NUMBERED = SMALLEST + 8
PATTERN = bytes((i * 167 + (i >> 8) * 59 + 13) & 0xFF for i in range(1 << 16))


class Failure(Exception):
    """What was found wrong, in a sentence."""


def size_of(number, most):
    """All sizes come up, small and large ones mixed."""
    return SMALLEST + number * 7919 % (most - SMALLEST + 1)


def frame(number, size, swapped):
    addresses = SOURCE + DESTINATION if swapped else DESTINATION + SOURCE
    start = number * 31 % (len(PATTERN) // 2)
    body = struct.pack('<Q', number) + PATTERN[start:start + size]
    return (addresses + TYPE + body)[:size]


def records(path):
    """The frames of a file, or of a pipe to its end."""
    with open(path, 'rb', buffering=1 << 20) as file:
        header = file.read(HEADER.size)
        if len(header) < HEADER.size:
            raise Failure(f'{path} has no header')
        if HEADER.unpack(header)[0] not in (MAGIC, 0xA1B23C4D):
            raise Failure(f'{path} is no capture of this machine')
        while True:
            record = file.read(RECORD.size)
            if not record:
                return
            if len(record) < RECORD.size:
                raise Failure('the last record is cut off')
            _, _, captured, length = RECORD.unpack(record)
            data = file.read(captured)
            if len(data) < captured or captured != length:
                raise Failure('a frame is cut off')
            yield data


def make(options):
    with open(options.file, 'wb') as file:
        file.write(HEADER.pack(MAGIC, 2, 4, 0, 0, SNAPLEN, ETHERNET))
        for number in range(options.first, options.first + options.frames):
            data = frame(number, size_of(number, options.most), swapped=False)
            file.write(RECORD.pack(0, 0, len(data), len(data)) + data)
    return f'{options.frames} frames written'


def describe(data):
    number = struct.unpack_from('<Q', data, SMALLEST)[0] if len(data) >= NUMBERED else '-'
    return f'{len(data)} bytes, number {number}: {data[:40].hex()}'


def compare(options):
    count = 0
    for number, data in enumerate(records(options.file), options.first):
        if count == options.frames:
            raise Failure(f'more than {count} frames came back: {describe(data)}')
        expected = frame(number, size_of(number, options.most), swapped=True)
        if data != expected:
            at = next((i for i, (a, b) in enumerate(zip(data, expected)) if a != b),
                      min(len(data), len(expected)))
            raise Failure(f'frame {number} differs at byte {at}: is {describe(data)}, '
                          f'should be {describe(expected)}')
        count += 1
    if count != options.frames:
        raise Failure(f'{count} of {options.frames} frames came back')
    return f'{count} frames'


def watch(options):
    count, last = 0, -1
    for data in records(options.file):
        if len(data) >= NUMBERED:
            number = struct.unpack_from('<Q', data, SMALLEST)[0]
            if data != frame(number, size_of(number, options.most), not options.straight):
                raise Failure(f'a frame is not as it was sent: {describe(data)}')
            if number <= last:
                raise Failure(f'frame {number} came after {last}')
            last = number
        count += 1
        if count % 1000 == 0:
            print(count, last, flush=True)
    return f'{count} frames, the last one {last}'


def generated(options):
    count = 0
    for data in records(options.file):
        if len(data) != options.bytes:
            raise Failure(f'a frame of {len(data)} bytes')
        count += 1
    if not count:
        raise Failure('there are none')
    return f'{count} frames of {options.bytes} bytes'


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('command', choices=['make', 'check', 'watch', 'generated'])
    parser.add_argument('file')
    parser.add_argument('--frames', type=int)
    parser.add_argument('--first', type=int, default=0)
    parser.add_argument('--most', type=int, default=1514)
    parser.add_argument('--bytes', type=int)
    parser.add_argument('--straight', action='store_true')
    options = parser.parse_args()
    commands = {
        'make': make,
        'check': compare,
        'watch': watch,
        'generated': generated,
    }
    try:
        print('frames: PASS', commands[options.command](options), flush=True)
    except Failure as failure:
        print('frames: FAIL', failure, flush=True)
        sys.exit(1)


if __name__ == '__main__':
    main()
