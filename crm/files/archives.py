"""Looking into zip archives that strangers send: only their directory is read, and that only when it is small.

Nothing is unpacked here; but who opens the file does, so what would not fit a computer is refused as well.
"""

import struct
import zipfile
from typing import BinaryIO

END = struct.Struct("<4s4H2LH")
"""The record at an archive's end (APPNOTE.TXT 4.3.16): signature, counts, size and place of the directory, comment."""
SIGNATURE = b"PK\x05\x06"
LOCATOR, LOCATOR_SIZE = b"PK\x06\x07", 20
"""Stands before the end of a ZIP64 archive, which no document that we take has to be."""
LONGEST_COMMENT = 0xFFFF

MOST_PARTS = 5000
MOST_DIRECTORY = 1024 * 1024
MOST_UNPACKED = 1024**3
"""Bytes of all parts together by their own word: a thousand times more is what bombs say."""


class BadArchive(Exception):
    """An archive that cannot be read, or not safely; its message says why in a few words."""


def parts_of(file: BinaryIO) -> list[str]:
    """Return the names of an archive's parts.

    :raises BadArchive: when it is none, something stands behind it, or unpacking it would fill a disk.
    """
    entries, directory, is_whole = _end_of(file)
    if not is_whole or entries > MOST_PARTS or directory > MOST_DIRECTORY:
        raise BadArchive("a document that cannot be read")
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise BadArchive("a document that cannot be read") from error
    if sum(part.file_size for part in parts) > MOST_UNPACKED:
        raise BadArchive("a document that unpacks to more than a computer holds")
    return [part.filename for part in parts]


def hides_in(file: BinaryIO) -> bool:
    """Tell whether a file of another type ends as an archive, so that some programs would take it for one."""
    return _end_of(file)[2]


def _end_of(file: BinaryIO) -> tuple[int, int, bool]:
    """Return how many entries an archive's end tells of, its directory's bytes, and whether the file ends with it.

    The record is the last one that can be found, as every reader of archives looks for it.
    """
    size = file.seek(0, 2)
    file.seek(max(0, size - END.size - LONGEST_COMMENT - LOCATOR_SIZE))
    tail = file.read()
    at = tail.rfind(SIGNATURE)
    if at < 0 or len(tail) - at < END.size:
        return 0, 0, False
    _, _, _, _, entries, directory, _, comment = END.unpack_from(tail, at)
    is_long = tail[max(0, at - LOCATOR_SIZE) : at].startswith(LOCATOR)
    return entries, directory, not is_long and at + END.size + comment == len(tail)
