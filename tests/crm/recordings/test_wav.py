"""What a recording's header says."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.recordings import wav
from tests.crm.recordings.conftest import sound


class TestRead:
    @pytest.mark.parametrize(("seconds", "rate"), [(1.0, 8000), (2.5, 16000), (0.0, 8000)])
    def test_tells_how_long_a_file_lasts(self, seconds, rate):
        file = sound(seconds, rate=rate)

        assert wav.read(file[: wav.HEAD]).duration_s(len(file)) == seconds

    def test_goes_by_the_size_where_the_writer_died_before_noting_it(self):
        file = bytearray(sound(2.0))
        struct.pack_into("<I", file, 4, 0)
        struct.pack_into("<I", file, 40, 0)

        assert wav.read(bytes(file[: wav.HEAD])).duration_s(len(file)) == 2.0

    def test_passes_over_chunks_it_does_not_know(self):
        file = sound(1.0)
        listed = file[:12] + b"LIST" + struct.pack("<I", 3) + b"abc\0" + file[12:]

        assert wav.read(listed[: wav.HEAD]).duration_s(len(listed)) == 1.0

    @pytest.mark.parametrize("head", [b"", b"RIFF", b"%PDF-1.7" * 4, b"RIFF\0\0\0\0WAVEdata\0\0\0\0", sound()[:36]])
    def test_refuses_what_is_no_recording(self, head):
        with pytest.raises(wav.NotAWav):
            wav.read(head)

    @given(st.binary(max_size=200))
    def test_reads_or_refuses_any_bytes(self, rest):
        with suppress(wav.NotAWav):
            assert wav.read(b"RIFF\0\0\0\0WAVE" + rest).bytes_per_s > 0
