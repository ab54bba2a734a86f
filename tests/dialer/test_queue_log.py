"""The log of an exchange's queues, as Asterisk 22 writes it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crm.calls import visits
from crm.calls.facts import AgentConnected, AgentFinished, Fact, Party, QueueJoined
from crm.calls.visits import VisitEnd
from dialer import queue_log

AT = 1_795_000_000
CALLER = "1795000000.7"


def log(tmp_path: Path, *lines: str) -> Path:
    """Write a log: of each line the seconds after the beginning, and the rest."""
    path = tmp_path / "queue_log"
    told = (line.partition("|") for line in lines)
    path.write_text("".join(f"{AT + int(after)}|{rest}\n" for after, _, rest in told))
    return path


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(AT, UTC) + timedelta(seconds=seconds)


SERVED = (
    f"0|{CALLER}|sales|NONE|ENTERQUEUE||+905321234567|2",
    f"9|{CALLER}|sales|PJSIP/agent-2|RINGNOANSWER|8000",
    f"15|{CALLER}|sales|PJSIP/agent-1|CONNECT|15|1795000012.9|3",
    f"75|{CALLER}|sales|PJSIP/agent-1|COMPLETEAGENT|15|60|2",
)


class TestOf:
    def test_tells_who_spoke_with_a_caller_and_how_long(self, tmp_path: Path) -> None:
        facts = queue_log.of(log(tmp_path, *SERVED), {CALLER: set()})

        [stay] = visits.of(sorted(facts, key=lambda fact: fact.at))
        assert (stay.queue, stay.end, stay.position) == ("sales", VisitEnd.connected, 2)
        assert (stay.waited_s, stay.ring_s, stay.talk_s, stay.ended_by) == (15, 3, 60, Party.agent)
        assert (stay.interface, stay.agent_leg) == ("PJSIP/agent-1", "1795000012.9")
        assert stay.missed == ("PJSIP/agent-2",)
        assert "532" not in repr(facts)

    @pytest.mark.parametrize(
        ("line", "end"),
        [
            ("ABANDON|1|1|40", VisitEnd.abandoned),
            ("EXITWITHTIMEOUT|1|1|40", VisitEnd.timeout),
            ("EXITEMPTY|1|1|40", VisitEnd.timeout),
            ("EXITWITHKEY|1|1|1|40", VisitEnd.callback),
        ],
    )
    def test_tells_why_nobody_did(self, tmp_path: Path, line: str, end: VisitEnd) -> None:
        facts = queue_log.of(log(tmp_path, SERVED[0], f"40|{CALLER}|sales|NONE|{line}"), {CALLER: set()})

        [stay] = visits.of(sorted(facts, key=lambda fact: fact.at))
        assert (stay.end, stay.waited_s) == (end, 40)

    def test_leaves_out_what_was_heard_and_who_was_not_asked_for(self, tmp_path: Path) -> None:
        joined = QueueJoined(call_id=CALLER, leg_id=CALLER, at=at(0.8), queue="sales", position=2)
        again = (f"300|{CALLER}|sales|NONE|ENTERQUEUE|||1", f"310|{CALLER}|sales|NONE|ABANDON|1|1|10")
        known: dict[str, set[Fact]] = {CALLER: {joined}}

        facts = queue_log.of(log(tmp_path, *SERVED, "1|other|sales|NONE|ENTERQUEUE|||1", *again), known)

        assert [fact.at for fact in facts if isinstance(fact, QueueJoined)] == [at(300)]
        assert {fact.call_id for fact in facts} == {CALLER}

    def test_of_a_talk_whose_beginning_was_heard_is_its_end(self, tmp_path: Path) -> None:
        begun = AgentConnected(
            call_id=CALLER, leg_id=CALLER, at=at(15.2), queue="sales", interface="PJSIP/agent-1",
            agent_leg="1795000012.9", waited_s=15, ring_s=3,
        )  # fmt: skip

        facts = queue_log.of(log(tmp_path, *SERVED), {CALLER: {begun}})

        assert not [fact for fact in facts if isinstance(fact, AgentConnected)]
        assert [fact.talk_s for fact in facts if isinstance(fact, AgentFinished)] == [60]

    @pytest.mark.parametrize(
        "line", ["", "x|y", f"soon|{CALLER}|sales|NONE|ABANDON|1|1|1", f"5|{CALLER}|sales", "5||||"]
    )
    def test_of_a_line_that_is_none_is_nothing(self, tmp_path: Path, line: str) -> None:
        path = tmp_path / "queue_log"
        path.write_text(line + "\n")

        assert queue_log.of(path, {CALLER: set()}) == []

    def test_of_no_file_is_nothing(self, tmp_path: Path) -> None:
        assert queue_log.of(tmp_path / "none", {CALLER: set()}) == []
