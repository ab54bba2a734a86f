"""What a recording's file says of itself: the header of a WAV file (RIFF, Microsoft and IBM 1991). Pure."""

import struct
from dataclasses import dataclass

HEAD = 4096
"""Bytes in which the header of a recording ends."""
CHUNK = struct.Struct("<4sI")
FORMAT = struct.Struct("<HHIIHH")


class NotAWav(ValueError):
    """These bytes do not begin a WAV file."""


@dataclass(frozen=True, slots=True)
class Sound:
    """`start`: where the sound begins in the file; `bytes_per_s`: how much of it is a second."""

    start: int
    bytes_per_s: int

    def duration_s(self, size: int) -> float:
        """Return how many seconds a file of a size lasts: the header's own word is wrong when its writer was killed."""
        return round(max(0, size - self.start) / self.bytes_per_s, 3)


def read(head: bytes) -> Sound:
    """Return what the beginning of a file says.

    :raises NotAWav: when it begins no WAV file, or one without a format.
    """
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        raise NotAWav("no RIFF header of a WAVE file")
    at, bytes_per_s = 12, 0
    while at + CHUNK.size <= len(head):
        name, size = CHUNK.unpack_from(head, at)
        at += CHUNK.size
        if name == b"data":
            if bytes_per_s == 0:
                raise NotAWav("sound without a format")
            return Sound(at, bytes_per_s)
        if name == b"fmt " and size >= FORMAT.size and at + FORMAT.size <= len(head):
            bytes_per_s = FORMAT.unpack_from(head, at)[3]
        at += size + size % 2
    raise NotAWav("no sound in it")
