"""What is asked, in AMI's words."""

from uuid import UUID

import pytest

from crm.calls.sending import Outgoing
from crm.exchange import Kind
from crm.phone import Phone
from dialer import words
from dialer.ami import messages

CALL = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
ASK = UUID("01890a5d-ac96-774b-bcce-b302099a8058")
NUMBER = Phone("+905321234567")


def call(**of):
    """Return the row of a call that is about to be sent."""
    return {
        "id": CALL, "direction": "agent_first", "lead_id": None, "caller_id": None, "ring_limit_s": 45, "queue": None,
        "detects_machines": False, "machine_message": None, "purpose": "click", **of,
    }  # fmt: skip


def said(kind: Kind, args=None, **of):
    """Return the actions of an ask."""
    out = Outgoing(ASK, kind, args or {}, of.pop("call", None), of.pop("endpoint", None), of.pop("number", None))
    return words.actions(out, named=lambda leg: f"PJSIP/{leg}-0001")


class TestOriginate:
    def test_rings_the_agent_and_never_shows_them_the_number(self):
        [action] = said(Kind.originate, call=call(), endpoint="PJSIP/agent-1", number=NUMBER)

        assert (action.fields["Channel"], action.fields["Context"]) == ("PJSIP/agent-1", "outbound")
        assert action.fields["Exten"] == "905321234567"
        assert "532" not in str(action.fields["CallerID"])
        assert action.fields["ChannelId"] == action.variables["__DIALER_CALL_ID"] == str(CALL)

    @pytest.mark.parametrize(("detects", "context"), [(False, "predictive"), (True, "predictive-amd")])
    def test_rings_the_customer_first_for_a_campaign(self, detects: bool, context: str):
        row = call(direction="customer_first", queue="sales", detects_machines=detects, caller_id="02121234567")

        [action] = said(Kind.originate, call=row, number=NUMBER)

        assert action.fields["Channel"] == "PJSIP/905321234567@carrier"
        assert (action.fields["Context"], action.fields["Exten"]) == (context, "sales")
        assert action.fields["Timeout"] == 45_000

    def test_is_not_repeated_with_the_number_in_a_log(self):
        out = Outgoing(ASK, Kind.originate, {}, call(), "PJSIP/agent-1", NUMBER)

        assert "5321234567" not in repr(out)


ARGS = {
    Kind.hang_up: {"leg": "a"},
    Kind.hold: {"leg": "c", "agent_leg": "a"}, Kind.resume: {"leg": "c", "agent_leg": "a"},
    Kind.mute: {"leg": "a", "is_muted": True}, Kind.play_dtmf: {"leg": "c", "digits": "12"},
    Kind.redirect: {"leg": "c", "context": "inbound", "exten": "care"},
    Kind.blind_transfer: {"leg": "a", "context": "inbound", "exten": "care"},
    Kind.attended_transfer: {"leg": "a", "context": "agents", "exten": "agent-2"},
    Kind.spy: {"endpoint": "PJSIP/boss", "leg": "a", "mode": "whisper"},
    Kind.conference: {"legs": ["c", "a"], "room": str(CALL), "endpoint": "PJSIP/agent-2"},
    Kind.queue_add: {"queue": "sales", "endpoint": "PJSIP/agent-1"},
    Kind.queue_remove: {"queue": "sales", "endpoint": "PJSIP/agent-1"},
    Kind.queue_pause: {"endpoint": "PJSIP/agent-1", "is_paused": True, "reason": "santral.wrap_up"},
    Kind.queue_penalty: {"queue": "sales", "endpoint": "PJSIP/agent-1", "penalty": 2},
    Kind.caller_priority: {"queue": "sales", "leg": "c", "priority": 5},
}  # fmt: skip


class TestEveryKind:
    @pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.originate])
    def test_can_be_said(self, kind: Kind):
        actions = said(kind, ARGS[kind])

        assert actions
        for action in actions:
            messages.action(action.name, action.fields, action.variables)

    def test_tones_go_one_by_one(self):
        assert [action.fields["Digit"] for action in said(Kind.play_dtmf, {"leg": "c", "digits": "1#"})] == ["1", "#"]


class TestFailure:
    @pytest.mark.parametrize(
        ("kind", "said", "code"),
        [
            (Kind.originate, "Extension does not exist.", "target.unknown"),
            (Kind.hold, "Channel does not exist: x", "leg.gone"),
            (Kind.hang_up, "No such channel", None),
            (Kind.queue_add, "Unable to add interface: Already there", None),
            (Kind.queue_remove, "Unable to remove interface: Not there", None),
            (Kind.queue_add, "Unable to add interface to queue: No such queue", "queue.unknown"),
            (Kind.originate, "Permission denied", "exchange.permission"),
            (Kind.blind_transfer, "Transfer failed", "target.unknown"),
            (Kind.originate, "something new", "exchange.refused"),
        ],
    )
    def test_is_a_code(self, kind: Kind, said: str, code: str | None):
        assert words.failure(kind, said) == code

    @pytest.mark.parametrize("callerid", ["x\r\nAction: Command", "x\n", "x\0y"])
    def test_a_caller_id_with_line_breaks_is_not_said(self, callerid: str):
        row = call(direction="customer_first", queue="sales", caller_id=callerid)
        [action] = said(Kind.originate, call=row, number=NUMBER)

        with pytest.raises(messages.Unspeakable):
            messages.action(action.name, action.fields, action.variables)
