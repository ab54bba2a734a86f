"""What an Asterisk has to know of the queues before their first caller: a section and an extension for each. Pure.

The files are included by those in `dialer/asterisk` (templates `queue`; contexts `queues` and `announce`). Members and
the order of callers are no part of them: those are steered as it goes. What callers hear while they wait is the
exchange's own: its estimate of the wait is the mean wait of late (`announce-holdtime` of app_queue).
https://docs.asterisk.org/Asterisk_22_Documentation/ (app_queue, `queues.conf.sample`).
"""

from collections.abc import Iterable

from crm.queues import operations
from crm.queues.rules import Announcements
from crm.queues.settings import Standing

HEAD = "; Made by Santral from its queues; changes are made there.\n"
PROMPTS = "santral/"
"""The folder of our prompts among the exchange's sounds."""


def queues_conf(queues: Iterable[Standing]) -> str:
    """Return the sections of queues.conf."""
    return HEAD + "".join(f"\n[{queue.code}](queue)\n{_announced(queue.settings.announcements)}" for queue in queues)


def _announced(said: Announcements) -> str:
    tells = said.says_position or said.says_wait
    lines = {
        "musicclass": said.music,
        "announce-frequency": said.every_s if tells else 0,
        "announce-position": _yes(said.says_position),
        "announce-holdtime": _yes(said.says_wait),
        "periodic-announce-frequency": said.every_s if said.periodic else 0,
    }
    if said.periodic:
        lines["periodic-announce"] = PROMPTS + said.periodic
    return "".join(f"{name} = {value}\n" for name, value in lines.items())


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


def extensions_conf(queues: Iterable[Standing], messages: Iterable[str] = ()) -> str:
    """Return the extensions of the queues, and of the messages that callers are sent to; who calls us is welcomed.

    `messages`: codes of further messages, as those for people whom a campaign called and for whom nobody is free.
    """
    known = list(queues)
    lines = [HEAD, "\n[queues](+)\n", *(_extension(queue) for queue in known), "\n[announce](+)\n"]
    prompts = {way.prompt for queue in known for _, way in operations.ways(queue.settings) if way.prompt}
    lines += [f"exten => {prompt},1,Gosub(say,s,1(${{EXTEN}}))\n" for prompt in sorted(prompts.union(messages))]
    return "".join(lines)


def _extension(queue: Standing) -> str:
    to_queue = "Gosub(${CONTEXT}-queue,s,1(${EXTEN}))"
    welcome = queue.settings.announcements.welcome
    if welcome is None:
        return f"exten => {queue.code},1,{to_queue}\n"
    greet = f'ExecIf($["${{CONTEXT}}" = "inbound"]?Playback({PROMPTS}{welcome}))'
    return f"exten => {queue.code},1,{greet}\n same => n,{to_queue}\n"
