"""Our templates for Asterisk say what the bridge, the translator and the loopback exchange take for granted."""

import re
from collections import defaultdict
from uuid import UUID

import pytest

from crm.calls.known import Direction
from crm.calls.sending import Outgoing
from crm.exchange import Kind
from crm.queues import sending
from dialer import hearing, words
from dialer.ami import translate
from dialer.exchange import channels, dialplan, queueing
from dialer.exchange.server import Exchange
from tests.dialer.asterisk.conf import TEMPLATES, section, sections, steps
from tests.dialer.asterisk.lab import SECRET

CONTEXTS = {each.name for each in sections("extensions.conf")} - {"general", "globals"}
LINES = [value for each in sections("extensions.conf") for _, value in each.lines]
TEXT = "\n".join(LINES)
PRIVILEGES = {
    "Originate": {"originate"}, "Hangup": {"call", "system"}, "Redirect": {"call"}, "Bridge": {"call"},
    "Setvar": {"call"}, "PlayDTMF": {"call"}, "BlindTransfer": {"call"}, "Atxfer": {"call"}, "QueueAdd": {"agent"},
    "QueueRemove": {"agent"}, "QueuePause": {"agent"}, "QueuePenalty": {"agent"}, "QueueChangePriorityCaller": set(),
    "CoreShowChannels": {"reporting", "system"}, "BridgeList": set(), "QueueStatus": set(), "Ping": set(),
}  # fmt: skip
"""What each action asks of its user (`manager show command` of 22.10); any one of them is enough."""
CALL = {
    "id": UUID(int=7), "direction": Direction.customer_first.value, "detects_machines": False, "queue": "sales",
    "ring_limit_s": 30, "caller_id": "+902120000000", "lead_id": None,
    "machine_message": "call-us",
}  # fmt: skip
ARGS = {
    "leg": "leg-1", "agent_leg": "leg-2", "legs": ["leg-1", "leg-2"], "room": "room", "endpoint": "PJSIP/agent-1",
    "queue": "sales", "context": "survey", "exten": "s", "digits": "12", "is_muted": True, "is_paused": True,
    "reason": "lunch", "penalty": 1, "priority": 2, "mode": "whisper",
}  # fmt: skip


def said(kind: Kind, **call: object) -> list[words.Action]:
    """Return the actions of an ask."""
    out = Outgoing(UUID(int=8), kind, ARGS, defaultdict(lambda: None, CALL | call), "+905321234567", "PJSIP/agent-1")
    return words.actions(out, named=lambda leg: leg)


class TestManager:
    user = section("manager.conf", "santral")

    def test_may_do_what_the_bridge_asks_and_nothing_like_a_shell(self):
        may = self.user.words("write")
        asked = {action.name for kind in Kind for action in said(kind)} | {"CoreShowChannels", "QueueStatus", "Ping"}

        assert {name for name in asked if PRIVILEGES[name] and not PRIVILEGES[name] & may} == set()
        assert may & {"system", "command", "config", "all"} == set()

    def test_hears_what_is_translated_and_no_digits(self):
        hears = self.user.words("read")

        assert {"call", "agent", "user", "cdr"} <= hears
        assert hears & {"dtmf", "system", "security", "all"} == set()

    def test_is_reached_from_here_alone_and_has_no_secret_in_the_file(self):
        assert ("deny", "0.0.0.0/0.0.0.0") in self.user.lines
        assert self.user.get("permit") == "127.0.0.1/255.255.255.255"
        assert section("manager.conf", "general").get("bindaddr") == "127.0.0.1"
        assert self.user.get("secret") is None

    def test_shows_the_variables_that_are_read_on_every_event(self):
        general = section("manager.conf", "general")

        assert general.words("channelvars") == set(channels.SHOWN)
        assert hearing.OF_CALL in channels.SHOWN
        assert general.get("timestampevents") == "yes"


class TestDialplan:
    @pytest.mark.parametrize("kind", list(Kind))
    def test_has_the_places_that_the_bridge_sends_to(self, kind: Kind):
        places = [
            (action.fields[f"{extra}Context"], action.fields[f"{extra}Exten"])
            for direction in Direction
            for detects in (True, False)
            if kind is not Kind.originate or direction is not Direction.inbound
            for action in said(kind, direction=direction.value, detects_machines=detects)
            for extra in ("", "Extra")
            if f"{extra}Context" in action.fields
        ]

        assert {context for context, _ in places} <= CONTEXTS
        assert {(c, e) for c, e in places if e in ("s", "sales") and e not in steps(str(c))} == set()

    def test_has_the_places_that_queues_send_to(self):
        assert {sending.TO_QUEUE, sending.TO_MESSAGE, sending.TO_CALLBACK, "agents"} <= CONTEXTS

    async def test_is_the_one_that_the_loopback_exchange_plays(self):
        async with Exchange(username="x", secret=SECRET) as exchange:
            played = set(exchange.board.dialplan)

        assert played <= CONTEXTS

    def test_waits_as_long_as_the_loopback_exchange_does(self):
        found = section("extensions.conf", "globals")

        assert float(found.get("RING_S") or 0) == dialplan.RING_S
        assert float(found.get("QUEUE_S") or 0) == dialplan.QUEUE_S
        assert float(found.get("PREDICTIVE_QUEUE_S") or 0) == dialplan.PREDICTIVE_QUEUE_S
        queue = section("queues.conf", "sales")
        assert (float(queue.get("timeout") or 0), float(queue.get("retry") or 0)) == (
            queueing.RING_AGENT_S, queueing.RETRY_S,
        )  # fmt: skip

    def test_tells_what_the_translator_reads_in_its_words(self):
        told = dict(re.findall(r"UserEvent\((\w+),(.*)\)", TEXT))

        assert set(told) == {"DialResult", "QueueResult", "AmdResult", hearing.ARRIVED}
        assert {"DialStatus:", "HangupCause:"} <= set(told["DialResult"].split()) | set(
            re.findall(r"\w+:", told["DialResult"])
        )
        assert "QueueStatus: ${QUEUESTATUS}" in told["QueueResult"]
        assert "Status: ${AMDSTATUS}" in told["AmdResult"]
        assert "Queue: ${ARG1}" in told[hearing.ARRIVED]

    def test_uses_the_variables_that_the_bridge_sets(self):
        set_by_us = {name.lstrip("_") for name in said(Kind.originate)[0].variables}

        assert {name for name in set_by_us if name not in (*channels.SHOWN,) and f"${{{name}}}" not in TEXT} == set()

    def test_runs_nothing_for_a_call_that_fails(self):
        """A failed call would run the extension `failed` of its context."""
        patterns = [value.partition(",")[0] for value in LINES if value.startswith("_")]

        assert {pattern for pattern in patterns if not re.fullmatch(r"_\+?X\.?", pattern)} == set()
        assert "exten => failed" not in TEXT

    def test_dials_only_what_has_been_cleaned(self):
        dialled = re.findall(r"Dial\((\S+?)[@,]", TEXT)

        assert dialled
        assert all("${FILTER(0-9" in each for each in dialled)
        assert any("FILTER(0-9+,${CALLERID(num)})" in step for step in steps("clean-caller")["s"])

    def test_rings_agents_only_after_the_callers_number_is_hidden(self):
        assert any("CALLERID(all)=" in step for step in steps("hide-caller")["s"])
        assert [steps(each)["s"][0] for each in ("wait-in-queue", "call-agent")] == ["Gosub(hide-caller,s,1)"] * 2
        ringing = re.findall(r"Queue\(\$|Dial\(PJSIP/agent", TEXT)
        assert len(ringing) == 2, "nothing else rings an agent"
        assert section("pjsip.conf", "agent").get("send_connected_line") == "no"

    def test_lets_telephones_give_calls_to_colleagues_alone(self):
        keys = section("features.conf", "featuremap")

        assert (keys.get("blindxfer"), keys.get("disconnect")) == ("", "")
        assert steps("dial-customer")["s"][0] == "Set(TRANSFER_CONTEXT=agents)"
        assert steps("hide-caller")["s"][0] == "Set(__TRANSFER_CONTEXT=agents)"

    def test_records_under_the_call_s_id_and_only_when_asked(self):
        first, *_, last = record = steps("record")["s"]

        assert 'GotoIf($["${DIALER_RECORD}" = ""]?done)' in first
        assert "Return()" in last
        assert any("MixMonitor(${RECORDINGS}/${FILTER(" in step for step in record)

    def test_tells_who_called_when_nobody_is_free(self):
        after = steps("predictive-queue")["s"]

        assert [n for n, step in enumerate(after) if "wait-in-queue" in step] < [
            n for n, step in enumerate(after) if "Playback(${SAFE_HARBOUR})" in step
        ]

    def test_knows_each_queue_in_both_files(self):
        assert {each.name for each in sections("queues.conf")} - {"general", "queue"} == {
            name for name in steps("queues") if name != "i"
        }

    def test_jumps_only_to_places_that_are_there(self):
        wanted = re.findall(r"(?:Gosub|Goto)\(([\w-]+),(\w+),1", TEXT)

        assert wanted
        assert {(context, exten) for context, exten in wanted if exten not in steps(context)} == set()
        assert {f"{context}-queue" for context in dialplan.QUEUED} <= CONTEXTS


APPLICATIONS = {
    "AMD": "app_amd", "ConfBridge": "app_confbridge", "Dial": "app_dial", "ExecIf": "app_exec", "Gosub": "app_stack",
    "MixMonitor": "app_mixmonitor", "MusicOnHold": "res_musiconhold", "Playback": "app_playback", "Queue": "app_queue",
    "Return": "app_stack", "UserEvent": "app_userevent", "WaitForSilence": "app_waitforsilence",
}  # fmt: skip
BUILT_IN = {"Answer", "Goto", "GotoIf", "Hangup", "Set", "Wait"}


class TestModules:
    def test_loads_what_the_dialplan_and_the_bridge_use(self):
        loaded = {value.removesuffix(".so") for key, value in section("modules.conf", "modules").lines if key == "load"}
        used = set(re.findall(r"(?:^|[,?])([A-Z][A-Za-z]+)\(", TEXT, re.MULTILINE))

        assert used - set(APPLICATIONS) - BUILT_IN == set()
        assert {name for name in used & set(APPLICATIONS) if APPLICATIONS[name] not in loaded} == set()
        assert {"app_chanspy", "app_senddtmf", "res_mutestream", "cdr_manager"} <= loaded

    def test_loads_no_door_to_the_machine(self):
        loaded = {value for key, value in section("modules.conf", "modules").lines if key == "load"}

        assert loaded & {"app_system.so", "func_shell.so", "res_agi.so", "app_externalivr.so", "res_ari.so"} == set()
        assert section("modules.conf", "modules").get("autoload") == "no"


def test_no_template_holds_a_password_of_somebody():
    for path in TEMPLATES.glob("*.conf"):
        found = re.findall(r"^(?:secret|password)\s*=\s*(\S+)", path.read_text(), re.MULTILINE)
        assert set(found) <= {"change-me"}, path.name


def test_the_translator_needs_no_event_that_is_not_heard():
    """VarSet would come of the class `dialplan`; our dialplan says the same by UserEvent."""
    assert "UserEvent" in translate.EVENTS
    assert "dialplan" not in section("manager.conf", "santral").words("read")


def test_the_container_writes_what_the_manager_includes():
    included = re.findall(r"^#(?:try)?include (\S+)", (TEMPLATES / "manager.conf").read_text(), re.MULTILINE)
    start = (TEMPLATES / "start.sh").read_text()

    assert sorted(re.findall(r"> (\S+\.conf)", start)) == sorted(included)
    assert "${AMI_SECRET:?" in start
    assert "asterisk -f -U asterisk" in start


def test_the_container_has_every_file_that_is_included():
    for path in TEMPLATES.glob("*.conf"):
        for optional, name in re.findall(r"^#(try)?include (\S+)", path.read_text(), re.MULTILINE):
            assert optional or (TEMPLATES / name).exists() or name == "manager_secret.conf", f"{path.name}: {name}"
