"""A loopback exchange's own records (CDR) in a file like a real one's `Master.csv`: a line for each leg that ended."""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

from dialer.exchange.channels import Channel
from dialer.exchange.switchboard import Switchboard

BUSY = 17


class Records:
    """cdr_csv with `usegmtime` and `loguniqueid`: written as each channel ends."""

    def __init__(self, board: Switchboard, file: Path) -> None:
        self.board = board
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        board.when_gone.append(self.write)

    def write(self, channel: Channel) -> None:
        """Write the line of a channel that is gone; the columns are those of cdr_csv."""
        end, answered = self.board.now(), channel.answered
        disposition = "ANSWERED" if answered is not None else "BUSY" if channel.cause == BUSY else "NO ANSWER"
        times = [_utc(channel.began), _utc(answered) if answered is not None else "", _utc(end)]
        seconds = [int(end - channel.began), int(end - answered) if answered is not None else 0]
        of_channel = ["", channel.caller[0], channel.exten, channel.context, "", channel.name, "", "", ""]
        line = io.StringIO()
        csv.writer(line, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerow(
            [*of_channel, *times, *seconds, disposition, "DOCUMENTATION", channel.uniqueid, ""]
        )
        with self.file.open("a") as file:
            file.write(line.getvalue())


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
