"""The exchange's log of its queues, read when a caller's call ended unheard: who spoke with them, or that nobody did.

A line is `seconds|caller's channel|queue|agent|event|values…`; the events and their values:
https://docs.asterisk.org/Configuration/Applications/Queue-Logs/. Each is read as the message (AMI) that says the same.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import UTC, datetime
from pathlib import Path

from crm.calls.facts import Fact
from dialer.ami.messages import Message
from dialer.ami.translate import translate

LAST_BYTES = 4 << 20
"""How much of the file's end is read: some twenty thousand calls."""
NEAR_S = 2.0
"""The log knows whole seconds: what was heard so near to a line of the same kind is that line."""
FROM_KEY, FROM_TIME, FROM_NOBODY = "CALLBACK", "TIMEOUT", "LEAVEEMPTY"


def of(path: Path, known: Mapping[str, Set[Fact]]) -> list[Fact]:
    """Return what the log tells of some calls, by the ids of their callers' channels, beyond the facts known of them.

    Nothing where there is no file; lines that are none are left out.
    """
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LAST_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    found: list[Fact] = []
    legs: dict[str, str] = {}
    for line in text.splitlines():
        stamp, _, rest = line.partition("|")
        name, *words = rest.split("|")
        if name in known and len(words) > 2 and stamp.isdigit():
            told = [
                {"timestamp": stamp, "uniqueid": name, "linkedid": name, **each} for each in _said(words, name, legs)
            ]
            found += [fact for each in told if (fact := translate(Message(each), now=_EVER))]
    return [fact for fact in found if not _is_known(fact, known[fact.call_id])]


_EVER = datetime.fromtimestamp(0, UTC)


def _said(words: Sequence[str], name: str, legs: dict[str, str]) -> Iterator[dict[str, str]]:
    """Yield a line as messages; `legs`: each caller's agent's channel, which only the first line of a talk tells."""
    queue, agent, event, *values = [*words, "", "", ""]
    of_agent = {"queue": queue, "interface": agent, "destlinkedid": name}
    match event:
        case "ENTERQUEUE":
            yield {"event": "QueueCallerJoin", "queue": queue, "position": values[2]}
        case "RINGNOANSWER":
            yield {"event": "AgentRingNoAnswer", **of_agent, "ringtime": values[0]}
        case "CONNECT":
            legs[name] = values[1]
            times = {"holdtime": values[0], "ringtime": values[2]}
            yield {"event": "AgentConnect", **of_agent, "destuniqueid": values[1], **times}
        case "COMPLETECALLER" | "COMPLETEAGENT":
            ended = {"talktime": values[1], "reason": event.removeprefix("COMPLETE").lower()}
            yield {"event": "AgentComplete", **of_agent, "destuniqueid": legs.get(name, ""), **ended}
        case "ABANDON":
            yield {"event": "QueueCallerAbandon", "queue": queue, "holdtime": values[2]}
        case "EXITWITHTIMEOUT" | "EXITEMPTY" | "EXITWITHKEY":
            end = {"EXITWITHTIMEOUT": FROM_TIME, "EXITEMPTY": FROM_NOBODY, "EXITWITHKEY": FROM_KEY}[event]
            yield {"event": "QueueCallerLeave", "queue": queue}
            yield {"event": "VarSet", "variable": "QUEUESTATUS", "value": end}


def _is_known(fact: Fact, known: Set[Fact]) -> bool:
    """Tell whether it was heard; of one queue, and by the same agent where there is one."""
    names = [name for name in ("queue", "interface") if hasattr(fact, name)]
    return any(
        type(each) is type(fact)
        and abs((each.at - fact.at).total_seconds()) <= NEAR_S
        and all(getattr(each, name) == getattr(fact, name) for name in names)
        for each in known
    )
