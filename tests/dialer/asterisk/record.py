"""`python -m tests.dialer.asterisk.record` keeps what a real Asterisk (`SANTRAL_ASTERISK`) tells of our scenes.

The format is that of the older recordings: `S`, a time, a line of the wire; an empty line ends a message. Kept are the
families of events that are compared.
"""

import asyncio
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from dialer.ami.messages import Message
from tests.dialer.asterisk.lab import Lab
from tests.dialer.asterisk.stage import play
from tests.dialer.scenes import FAMILIES
from tests.dialer.templates_scenes import SCENES

KEPT = FAMILIES | {
    "Newchannel",
    "Newstate",
    "Unhold",
    "MusicOnHoldStart",
    "MusicOnHoldStop",
    "Cdr",
    "QueueMemberStatus",
}
FOLDER = Path(__file__).parents[1] / "exchange" / "recordings"


def lines(title: str, messages: Iterable[Message]) -> Iterable[str]:
    """Yield a recording's lines."""
    yield f"# {title}"
    for message in messages:
        if message.event not in KEPT:
            continue
        for name, value in message.fields.items():
            if name != "content":
                yield f"S 0.000 {name.capitalize()}: {value}"
        for name, value in message.variables.items():
            yield f"S 0.000 ChanVariable: {name}={value}"
        yield "S 0.000 "


def main(names: list[str]) -> None:
    """Record the scenes of some names, or all."""
    FOLDER.mkdir(exist_ok=True)
    with Lab(Path(os.environ["SANTRAL_ASTERISK"])) as lab:
        for scene in SCENES:
            if not names or scene.recording in names:
                told = asyncio.run(play(lab, scene))
                path = FOLDER / f"{scene.recording}.txt"
                path.write_text("\n".join(lines(scene.recording, told)) + "\n", encoding="utf8")
                print(f"{scene.recording}: {len(told)} messages", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
