"""Recorded conversations as calls: outcome, cause, durations and queue facts, in whatever order they come."""

import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.calls import facts
from crm.calls.facts import Fact
from crm.calls.story import Direction, Outcome, Story, tell
from dialer.ami.messages import Message, heard
from dialer.ami.translate import EVENTS, translate
from tests.dialer.ami.recordings import from_server

NOW = datetime(2026, 11, 20, tzinfo=UTC)
AGENT, CUSTOMER, IN = Direction.agent_first, Direction.customer_first, Direction.inbound
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

# What each recorded call was, read off the recordings by hand: call, direction, outcome, Q.850 cause of the customer's
# leg, seconds of ringing, talk and hold, and the stays in queues (queue, end, seconds waited, agents who missed it).
CALLS = {
    "a_click_to_call_agent_no_answer": [("call-ana", AGENT, "agent_no_answer", None, None, 0, 0, [])],
    "a_click_to_call_answered": [("call-a", AGENT, "answered", 16, 2.0, 5.0, 0, [])],
    "a_click_to_call_answered_sip": [("call-asip", AGENT, "answered", 16, 2.0, 5.5, 0, [])],
    "a_click_to_call_local_optimized": [("call-aopt", AGENT, "answered", None, 1.0, 0.5, 0, [])],
    "b_busy_click_local": [("call-b-_local", AGENT, "busy", 0, 1.0, 0, 0, [])],
    "b_busy_click_sip": [("call-b-ck_sip", AGENT, "busy", 17, 1.0, 0, 0, [])],
    "b_busy_predictive_local": [("call-b-_local", CUSTOMER, "busy", 16, 1.0, 0, 0, [])],
    "b_busy_predictive_local_direct": [("call-b-direct", CUSTOMER, "busy", 0, 1.0, 0, 0, [])],
    "b_busy_predictive_sip": [("call-b-ve_sip", CUSTOMER, "busy", 17, 1.0, 0, 0, [])],
    "c_noanswer_click_local": [("call-c-_local", AGENT, "no_answer", 0, 4.0, 0, 0, [])],
    "c_noanswer_predictive_local": [("call-c-_local", CUSTOMER, "no_answer", 19, 4.0, 0, 0, [])],
    "c_noanswer_predictive_sip": [("call-c-ve_sip", CUSTOMER, "no_answer", 19, 4.0, 0, 0, [])],
    "c_rejected_predictive_sip": [("call-c-ve_sip", CUSTOMER, "rejected", 21, 1.0, 0, 0, [])],
    "d_congestion_click_local": [("call-d-_local", AGENT, "congestion", 0, 0, 0, 0, [])],
    "d_congestion_predictive_local": [("call-d-_local", CUSTOMER, "congestion", 16, 0, 0, 0, [])],
    "d_congestion_predictive_sip": [("call-d-ve_sip", CUSTOMER, "congestion", 34, 0, 0, 0, [])],
    "d_failed_extension_trap": [("call-d-n_trap", CUSTOMER, "busy", 17, 1.0, 0, 0, [])],
    "d_invalidformat_predictive_sip": [("call-d-ve_sip", CUSTOMER, "invalid", 28, 0, 0, 0, [])],
    "d_noexten_click_local": [("call-d-_local", AGENT, "invalid", None, None, 0, 0, [])],
    "d_noexten_predictive_sip": [("call-d-ve_sip", CUSTOMER, "invalid", 1, 0, 0, 0, [])],
    "d_originate_immediate_failures": [
        ("call-d1", CUSTOMER, "failed", 0, 0, 0, 0, []),
        ("call-d2", CUSTOMER, "failed", None, None, 0, 0, []),
        ("call-d3", CUSTOMER, "failed", None, None, 0, 0, []),
    ],
    "d_unallocated_predictive_sip": [("call-d-ve_sip", CUSTOMER, "invalid", 1, 0, 0, 0, [])],
    "e_predictive_amd": [
        ("call-amd-human", CUSTOMER, "answered", 16, 1.0, 13.2, 0, [("sales", "connected", 1.0, [])]),
        ("call-amd-machine", CUSTOMER, "machine", 16, 1.0, 0, 0, []),
    ],
    "e_predictive_queue_agent_hangs_up": [
        ("call-e2", CUSTOMER, "answered", 16, 1.0, 5.5, 0, [("sales", "connected", 1.0, [])])
    ],
    "e_predictive_queue_connect_sip": [
        ("call-e", CUSTOMER, "answered", 16, 1.0, 5.0, 0, [("sales", "connected", 1.0, [])])
    ],
    "e_predictive_queue_ringnoanswer": [
        ("call-e3", CUSTOMER, "answered", 16, 1.0, 8.0, 0, [("sales", "connected", 12.0, ["Local/2001@agents/n"])])
    ],
    "f_predictive_abandon": [("call-f", CUSTOMER, "abandoned", 16, 1.0, 0, 0, [("sales", "abandoned", 5.0, [])])],
    "f_predictive_join_empty": [("call-f3", CUSTOMER, "dropped", 16, 1.0, 0, 0, [("", "refused", None, [])])],
    "f_predictive_queue_timeout": [("call-f2", CUSTOMER, "dropped", 16, 1.0, 0, 0, [("sales", "timeout", 3.0, [])])],
    "h_atxfer_panoramisk_drops_connection": [
        ("1795212387.10", IN, "answered", 16, 0, 9.0, 0, [("sales", "connected", 1.0, [])])
    ],
    "h_chanspy": [("call-spy", AGENT, "answered", 16, 1.0, 5.3, 0, [])],
    "h_hold_by_redirect": [("call-hold", AGENT, "answered", 16, 1.0, 5.0, 3.0, [])],
    "h_inbound_attended_transfer": [
        ("1795212738.62", IN, "answered", 16, 0, 6.3, 6.7, [("sales", "connected", 1.0, [])])
    ],
    "h_inbound_hold_blind_transfer": [
        ("1795212217.421", IN, "answered", 16, 0, 4.3, 3.0, [("sales", "connected", 1.0, [])])
    ],
    "i_cancel_click_while_customer_rings": [("call-i3", AGENT, "cancelled", 16, 2.0, 0, 0, [])],
    "i_cancel_while_ringing": [("call-i2", CUSTOMER, "cancelled", 16, 1.0, 0, 0, [])],
    "i_hangup_by_client": [("call-i", AGENT, "answered", 16, 1.0, 3.0, 0, [])],
    "k_connection_cut": [
        ("call-k", AGENT, "answered", 16, 1.0, 9.9, 0, []),
        ("call-k2", CUSTOMER, "answered", None, 0, 0, 0, [("support", "waiting", None, [])]),
    ],
    "k_restart_graceful": [("call-k", AGENT, "answered", 16, 1.0, 1.5, 0, [])],
    "k_restart_sigkill": [("call-k", AGENT, "answered", None, 1.0, None, 0, [])],
    "z_click_to_call_every_class": [("call-z", AGENT, "answered", 16, 1.0, 3.5, 0, [])],
    "g_agent_pause": [],
    "j_action_errors": [],
    "j_login_failure": [],
    "j_permission_denied": [],
}


def facts_of(messages: Iterable[Message]) -> list[Fact]:
    return [fact for message in messages if (fact := translate(message, now=NOW))]


def of_call(call_id: str, known: Iterable[Fact]) -> list[Fact]:
    return [fact for fact in known if call_id in (fact.call_id, fact.leg_id)]


def close_to(seconds: float | None, wanted: float | None) -> bool:
    return seconds is wanted or (seconds is not None and wanted is not None and abs(seconds - wanted) < 0.06)


def without_clock(known: list[Fact], chance: random.Random) -> list[Fact]:
    """Return facts of a server that tells no time, in an order in which families overtake each other.

    Each fact slips back by up to three places; facts of one family keep their order, as they do on the wire.
    """
    keys = sorted((place + 3 * chance.random(), place) for place in range(len(known)))
    families: dict[tuple[type, str], list[int]] = {}
    for place, fact in enumerate(known):
        families.setdefault((type(fact), fact.leg_id), []).append(place)
    queues = {family: iter(places) for family, places in families.items()}
    ordered = [known[next(queues[type(known[place]), known[place].leg_id])] for _, place in keys]
    return [replace(fact, at=LONG_AGO + timedelta(seconds=n)) for n, fact in enumerate(ordered)]


class TestRecordings:
    @pytest.mark.parametrize("name", CALLS)
    def test_end_as_they_did(self, recordings, name):
        known = facts_of(from_server(recordings / f"{name}.txt"))

        for call_id, direction, outcome, cause, ring_s, talk_s, held_s, stays in CALLS[name]:
            story = tell(call_id, direction, of_call(call_id, known))
            assert (story.outcome, story.cause) == (outcome, cause)
            assert close_to(story.ring_s, ring_s)
            assert talk_s is None or close_to(story.talk_s, talk_s)
            assert close_to(story.held_s, held_s)
            seen = [(stay.queue, stay.end, list(stay.missed)) for stay in story.visits]
            assert seen == [(queue, end, missed) for queue, end, _, missed in stays]
            assert all(close_to(s.waited_s, wanted[2]) for s, wanted in zip(story.visits, stays, strict=True))

    def test_are_all_known(self, recordings):
        assert {path.stem for path in recordings.glob("*.txt")} == CALLS.keys()

    def test_end_the_same_whatever_overtakes_what(self, recordings):
        chance = random.Random(4)
        for name, calls in CALLS.items():
            known = facts_of(from_server(recordings / f"{name}.txt"))
            for call_id, direction, *_ in calls:
                mine = of_call(call_id, known)
                wanted = tell(call_id, direction, mine)
                for _ in range(20):
                    shuffled = mine + mine[:5]
                    chance.shuffle(shuffled)
                    assert tell(call_id, direction, shuffled) == wanted
                    assert_same_end(tell(call_id, direction, without_clock(mine, chance)), wanted, name)

    def test_tell_of_an_agent_s_place_in_queues(self, recordings):
        known = facts_of(from_server(recordings / "g_agent_pause.txt"))

        members = [fact for fact in known if isinstance(fact, facts.MemberChanged)]

        assert members[0].is_member
        assert {fact.reason for fact in members if fact.is_paused} >= {"lunch"}
        assert not members[-1].is_member


def assert_same_end(story: Story, wanted: Story, name: str) -> None:
    assert (story.outcome, story.cause) == (wanted.outcome, wanted.cause), name
    assert [(stay.queue, stay.end) for stay in story.visits] == [(s.queue, s.end) for s in wanted.visits], name


def said(event: str, **fields: str) -> Message:
    return Message({"event": event, "uniqueid": "call", "linkedid": "call", "timestamp": "1772530200.25"} | fields)


class TestTranslate:
    def test_a_small_call(self):
        known = facts_of(
            [
                said("Newchannel", channelstatedesc="Down"),
                said("DialBegin", uniqueid="", linkedid="", destuniqueid="call", destlinkedid="call"),
                said("Newstate", channelstatedesc="Ringing"),
                said("Hangup", channelstatedesc="Ringing", cause="17", timestamp="1772530203.25"),
                said("Cdr", linkedid="", disposition="BUSY", duration="3", billableseconds="0"),
            ]
        )

        story = tell("call", CUSTOMER, known)

        assert (story.outcome, story.cause, story.ring_s) == (Outcome.busy, 17, 3.0)
        assert known[0].at == datetime(2026, 3, 3, 9, 30, 0, 250_000, tzinfo=UTC)

    def test_ringing_that_is_missed_is_told_in_milliseconds(self):
        fact = translate(said("AgentRingNoAnswer", queue="q", interface="i", ringtime="10000"), now=NOW)

        assert isinstance(fact, facts.AgentMissed)
        assert fact.ring_s == 10.0

    @pytest.mark.parametrize(
        "lie",
        [
            said("Hangup", uniqueid="", cause="16"),
            said("Hangup", cause="sixteen"),
            said("DialEnd", destuniqueid="leg", dialstatus="PERHAPS"),
            said("AgentComplete", reason="boredom"),
            said("Newchannel", channel="OutgoingSpoolFailed"),
            said("VarSet", variable="QUEUESTATUS", value="UNKNOWN"),
            said("VarSet", variable="DIALSTATUS", value="ANSWER"),
            said("UserEvent", userevent="Anything"),
            said("Nonsense"),
        ],
    )
    def test_what_cannot_be_is_nothing(self, lie):
        assert translate(lie, now=NOW) is None

    def test_an_end_that_names_only_the_agents_leg_is_of_the_call(self):
        """So it was heard once of a caller who had just gone."""
        headers = {
            "Event": "AgentComplete", "DestUniqueid": "leg-2", "DestLinkedid": "call-1", "Queue": "sales",
            "Interface": "PJSIP/agent-1", "HoldTime": "1", "TalkTime": "9", "Reason": "caller",
        }  # fmt: skip

        fact = translate(heard(headers), now=NOW)

        assert isinstance(fact, facts.AgentFinished)
        assert (fact.call_id, fact.leg_id, fact.agent_leg) == ("call-1", "call-1", "leg-2")

    @pytest.mark.parametrize(
        ("channel", "endpoint"),
        [
            ("PJSIP/agent-7-0000001a", "PJSIP/agent-7"), ("Local/2001@agents-0000001a;1", "Local/2001@agents"),
            ("Local/905321234567@outbound-0000001a;2", ""), ("Local/+90-532-123-45-67@x-0000001a;1", ""),
            ("SIP/carrier/905321234567-0000001a", ""),
        ],
    )  # fmt: skip
    def test_a_channel_named_after_the_number_it_dials_has_no_endpoint(self, channel: str, endpoint: str):
        begun = translate(said("Newchannel", channel=channel), now=NOW)

        assert isinstance(begun, facts.LegStarted)
        assert begun.interface == endpoint
        assert "5321234567" not in repr(begun)

    def test_a_number_that_is_a_queues_member_is_no_agent_of_ours(self):
        of = {"queue": "sales", "paused": "0"}

        told = [
            translate(said("QueueMemberAdded", interface=each, **of), now=NOW)
            for each in ("Local/905321234567@outbound/n", "PJSIP/agent-7")
        ]

        assert [each is None for each in told] == [True, False]

    def test_an_end_without_its_cause_is_none(self):
        headers = {"Event": "Hangup", "Uniqueid": "leg-1", "Linkedid": "call-1", "ChannelStateDesc": "Up"}

        assert translate(heard(headers), now=NOW) is None
        assert translate(heard(headers | {"Cause": "16"}), now=NOW) is not None

    def test_an_unknown_leg_is_none(self):
        fact = translate(said("OriginateResponse", uniqueid="<unknown>", response="Failure", reason="0"), now=NOW)

        assert isinstance(fact, facts.OriginateEnded)
        assert (fact.leg_id, fact.has_succeeded) == ("", False)

    @given(
        st.sampled_from(sorted(EVENTS)),
        st.dictionaries(
            st.sampled_from(
                ["uniqueid", "destuniqueid", "cause", "reason", "timestamp", "queue", "holdtime", "variable", "value"]
            ),
            st.text(max_size=12) | st.sampled_from(["AMDSTATUS", "HUMAN", "1e400", "-5", "call"]),
        ),
    )
    def test_never_fails(self, event, fields):
        fact = translate(said(event, **fields), now=NOW)

        assert fact is None or fact.at.tzinfo is not None
