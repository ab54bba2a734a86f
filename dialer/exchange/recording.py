"""Recordings of a loopback exchange: a second of a tone for each recorded call, in a file like a real one's."""

import io
import math
import struct
import wave
from functools import cache
from pathlib import Path

from dialer.exchange.channels import Channel
from dialer.exchange.switchboard import Switchboard

RATE = 8000
TONE_HZ = 440


class Recorder:
    """MixMonitor: files are `<call id>.wav` in `folder`; without a folder nothing is written."""

    def __init__(self, board: Switchboard, folder: Path | None) -> None:
        self.board = board
        self.folder = folder
        board.when_gone.append(self.finish)

    def begin(self, channel: Channel) -> None:
        """Record a channel whose call is to be recorded (`DIALER_RECORD`)."""
        if channel.variables.get("DIALER_RECORD") and not channel.is_recorded:
            channel.is_recorded = True
            self.board.of_channel("MixMonitorStart", channel)

    def finish(self, channel: Channel) -> None:
        """Write the file of a channel that is gone; one that was never talked on has no sound."""
        if channel.is_recorded and self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            name = "".join(sign for sign in channel.call_id or channel.uniqueid if sign.isalnum() or sign in ".-")
            (self.folder / f"{name}.wav").write_bytes(tone())


@cache
def tone() -> bytes:
    """Return a second of a tone as a WAV file: 8 kHz, 16 bits, one channel."""
    waves = (int(8000 * math.sin(2 * math.pi * TONE_HZ * n / RATE)) for n in range(RATE))
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(struct.pack(f"<{RATE}h", *waves))
    return file.getvalue()
