"""The same scenes on a real Asterisk with our templates and on the loopback exchange tell the same."""

import pytest

from tests.dialer.asterisk import stage as live
from tests.dialer.exchange import stage as loopback
from tests.dialer.exchange.test_contract import SCENES as RECORDED
from tests.dialer.scenes import Scene, skeleton, story
from tests.dialer.templates_scenes import SCENES

NOT_HERE = {
    # A customer of ours hangs up while an agent's telephone rings for as long as the templates say.
    "e_predictive_queue_ringnoanswer",
    # Whose turn it is depends on the calls before.
    "inbound_missed",
}
HERE = [scene for scene in (*SCENES, *RECORDED) if scene.recording not in NOT_HERE]


@pytest.mark.parametrize("scene", HERE, ids=lambda scene: f"{scene.recording}-{scene.call_id}")
async def test_a_scene_is_the_same_on_both(scene: Scene, lab):
    told = await live.play(lab, scene)
    ours = await loopback.play(scene)

    assert skeleton(scene, ours) == skeleton(scene, told)
    real, imagined = story(scene, told), story(scene, ours)
    assert (imagined.outcome, imagined.cause, imagined.verdict) == (real.outcome, real.cause, real.verdict)
