"""The loopback exchange and a recorded real one, held to the same promise: the same calls tell the same events."""

import pytest

from crm.calls.story import Direction
from dialer.exchange.people import Answer, Party
from tests.dialer.ami.recordings import from_server
from tests.dialer.exchange.stage import play
from tests.dialer.scenes import Act, Scene, skeleton, story

AGENT, CUSTOMER = Direction.agent_first, Direction.customer_first
PICKS_UP = Party(rings_s=1, stays_s=600)
CANCEL = Act(1, "Hangup", {"Channel": "{call}", "Cause": 16})
SILENT = Party(Answer.silent)
PATIENT = (("DIALER_QUEUE_SECS", "60"),)
SCENES = [
    Scene("b_busy_predictive_sip", "call-b-ve_sip", CUSTOMER, Party(Answer.busy)),
    Scene("c_noanswer_predictive_sip", "call-c-ve_sip", CUSTOMER, Party(Answer.silent), timeout_s=4),
    Scene("c_rejected_predictive_sip", "call-c-ve_sip", CUSTOMER, Party(Answer.rejects)),
    Scene("d_congestion_predictive_sip", "call-d-ve_sip", CUSTOMER, Party(Answer.congestion)),
    Scene("d_unallocated_predictive_sip", "call-d-ve_sip", CUSTOMER, Party(Answer.unallocated)),
    Scene("i_cancel_while_ringing", "call-i2", CUSTOMER, Party(rings_s=20), acts=(CANCEL,)),
    Scene("e_predictive_queue_connect_sip", "call-e", CUSTOMER, Party(stays_s=5), (PICKS_UP,)),
    Scene(
        "e_predictive_queue_ringnoanswer", "call-e3", CUSTOMER, Party(stays_s=8), (SILENT, PICKS_UP), variables=PATIENT
    ),
    Scene("e_predictive_amd", "call-amd-human", CUSTOMER, Party(stays_s=13), (PICKS_UP,), context="predictive-amd"),
    Scene(
        "e_predictive_amd", "call-amd-machine", CUSTOMER, Party(Answer.machine), (PICKS_UP,), context="predictive-amd"
    ),
    Scene(
        "f_predictive_abandon", "call-f", CUSTOMER, Party(patience_s=5), (PICKS_UP,), is_paused=True, variables=PATIENT
    ),
    Scene("f_predictive_join_empty", "call-f3", CUSTOMER, Party()),
    Scene(
        "f_predictive_queue_timeout", "call-f2", CUSTOMER, Party(patience_s=60), (PICKS_UP,), is_paused=True,
        variables=(("DIALER_QUEUE_SECS", "3"),),
    ),
    Scene("d_noexten_predictive_sip", "call-d-ve_sip", CUSTOMER, Party(Answer.unallocated)),
    Scene("a_click_to_call_answered_sip", "call-asip", AGENT, Party(rings_s=2, stays_s=5), (PICKS_UP,), "outbound"),
    Scene("a_click_to_call_agent_no_answer", "call-ana", AGENT, Party(), (SILENT,), "outbound", timeout_s=3),
    Scene("b_busy_click_sip", "call-b-ck_sip", AGENT, Party(Answer.busy), (PICKS_UP,), "outbound"),
]  # fmt: skip


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: f"{scene.recording}-{scene.call_id}")
async def test_tells_what_the_real_one_told(scene, recordings):
    recorded = list(from_server(recordings / f"{scene.recording}.txt"))

    told = await play(scene)

    assert skeleton(scene, told) == skeleton(scene, recorded)
    real, ours = story(scene, recorded), story(scene, told)
    assert (ours.outcome, ours.cause, ours.verdict) == (real.outcome, real.cause, real.verdict)
    assert [(stay.queue, stay.end, len(stay.missed)) for stay in ours.visits] == [
        (stay.queue, stay.end, len(stay.missed)) for stay in real.visits
    ]
    assert (ours.connected_at is None) == (real.connected_at is None)


async def test_speaks_with_the_headers_of_the_real_one(recordings):
    """Whatever header an event of ours has, the real event has too."""
    real: dict[str, set[str]] = {}
    for path in recordings.glob("*.txt"):
        for message in from_server(path):
            real.setdefault(message.event, set()).update(message.fields)
    told: dict[str, set[str]] = {}
    for scene in (SCENES[6], SCENES[7], SCENES[8], SCENES[10], SCENES[14]):
        for message in await play(scene):
            told.setdefault(message.event, set()).update(message.fields)

    assert {(event, name) for event, names in told.items() for name in names - real.get(event, set())} == set()
