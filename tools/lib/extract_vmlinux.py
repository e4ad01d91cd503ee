#!/usr/bin/python3
"""Extracts the ELF kernel from a bzImage: extract_vmlinux.py BZIMAGE OUTPUT

The setup header says where the compressed kernel lies (Linux x86 boot protocol 2.08 and later,
fields payload_offset and payload_length); its first bytes say how it is compressed.
"""

import lzma
import struct
import subprocess
import sys

SETUP_SECTS = 0x1F1
HEADER_MAGIC = 0x202
VERSION = 0x206
PAYLOAD_OFFSET = 0x248


def payload(image):
    """Returns the compressed kernel without the length that the build appends."""
    if image[HEADER_MAGIC : HEADER_MAGIC + 4] != b"HdrS":
        raise ValueError("not a bzImage: no HdrS magic")
    (version,) = struct.unpack_from("<H", image, VERSION)
    if version < 0x208:
        raise ValueError(f"boot protocol {version:#x} has no payload_offset")
    offset, length = struct.unpack_from("<II", image, PAYLOAD_OFFSET)
    # Zero stands for four: section "The Real-Mode Kernel Header" of the protocol.
    start = ((image[SETUP_SECTS] or 4) + 1) * 512 + offset
    if length < 8 or start + length > len(image):
        raise ValueError("payload lies outside of the file")
    return image[start : start + length - 4]


def filtered(*command):
    """Returns a function that unpacks through a program: Python 3.11 has no module for these."""

    def run(data):
        result = subprocess.run(command, input=data, capture_output=True, check=False)
        if not result.stdout:
            raise ValueError(f"{command[0]}: {result.stderr.decode(errors='replace').strip()}")
        return result.stdout

    return run


DECOMPRESSORS = (
    (b"\x02\x21\x4c\x18", filtered("lz4", "-dc")),
    (b"\x28\xb5\x2f\xfd", filtered("zstd", "-dc")),
    (b"\xfd7zXZ\x00", lzma.decompress),
)


def decompress(data):
    for magic, function in DECOMPRESSORS:
        if data.startswith(magic):
            return function(data)
    raise ValueError(f"compression not known, first bytes {data[:6].hex()}")


def main(arguments):
    if len(arguments) != 3:
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 2
    try:
        with open(arguments[1], "rb") as source:
            kernel = decompress(payload(source.read()))
        if not kernel.startswith(b"\x7fELF"):
            raise ValueError("the payload is no ELF file")
        with open(arguments[2], "wb") as target:
            target.write(kernel)
    except (OSError, ValueError, EOFError, lzma.LZMAError, struct.error) as error:
        print(f"{arguments[1]}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
