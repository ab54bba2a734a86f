"""The loopback exchange held to what Asterisk 22 told of the same scenes under our own templates."""

from pathlib import Path

import pytest

from tests.dialer.ami.recordings import from_server
from tests.dialer.exchange.stage import play
from tests.dialer.scenes import Scene, skeleton, story
from tests.dialer.templates_scenes import SCENES

FOLDER = Path(__file__).parent / "recordings"


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.recording)
async def test_tells_what_the_real_one_told(scene: Scene):
    recorded = list(from_server(FOLDER / f"{scene.recording}.txt"))

    told = await play(scene)

    assert skeleton(scene, told) == skeleton(scene, recorded)
    real, ours = story(scene, recorded), story(scene, told)
    assert (ours.outcome, ours.cause, ours.verdict) == (real.outcome, real.cause, real.verdict)
    assert [(stay.queue, stay.end, len(stay.missed)) for stay in ours.visits] == [
        (stay.queue, stay.end, len(stay.missed)) for stay in real.visits
    ]
    assert (ours.connected_at is None, ours.held_s > 0) == (real.connected_at is None, real.held_s > 0)
    assert ours.talk_s == pytest.approx(real.talk_s, abs=1.5)


async def test_speaks_with_the_headers_of_the_real_one():
    """Whatever header an event of ours has, the real event has too."""
    real: dict[str, set[str]] = {}
    told: dict[str, set[str]] = {}
    for scene in SCENES:
        for message in from_server(FOLDER / f"{scene.recording}.txt"):
            real.setdefault(message.event, set()).update(message.fields)
        for message in await play(scene):
            told.setdefault(message.event, set()).update(message.fields)

    assert {(event, name) for event in real for name in told.get(event, set()) - real[event]} == set()
