"""What a real Asterisk lets agents' telephones show: never the number of whom they speak with."""

import asyncio
from uuid import uuid4

import pytest

from dialer.ami.connection import Address, Connection
from dialer.ami.messages import Message
from dialer.exchange.people import Party
from tests.dialer.asterisk.lab import SECRET, Lab

NUMBER, OUTSIDE = "905321234567", "905329876543"
SHOWN = "UserEvent(Shown,Who: ${EXTEN},Text: <${CALLERID(num)}> <${CALLERID(name)}> <${CALLERID(ANI)}>)"
"""What a telephone tells of the call that rings it."""
STAYS, LASTS = Party(rings_s=0.5, stays_s=4), Party(rings_s=0.5, stays_s=20)


@pytest.fixture
async def line(lab: Lab):
    """A conversation with the exchange, and what it has told."""
    told: list[Message] = []
    connection, stop = Connection(Address("127.0.0.1", lab.ami, "santral", SECRET)), asyncio.Event()

    async def gather() -> None:
        async for item in connection.heard():
            if isinstance(item, Message):
                told.append(item)

    works = [asyncio.create_task(connection.run(stop)), asyncio.create_task(gather())]
    async with asyncio.timeout(10):
        while connection.trouble:
            await asyncio.sleep(0.05)
    yield connection, told
    stop.set()
    await works[0]
    works[1].cancel()


def telephones(lab: Lab, *, keys: str = "") -> None:
    """Have telephones that tell what they show, and a customer who calls with a number of theirs.

    `keys`: what the first agent presses after a while.
    """
    lab.people({"agent-1": STAYS, "agent-2": STAYS, NUMBER: LASTS, OUTSIDE: STAYS})
    path = lab.folder / "etc" / "customers.conf"
    text = path.read_text()
    for who in ("agent-1", "agent-2", NUMBER, OUTSIDE):
        text = text.replace(f"exten => {who},1,", f"exten => {who},1,{SHOWN}\n same => n,")
    if keys:
        presses = f"Answer()\n same => n,Wait(3)\n same => n,SendDTMF({keys})\n same => n,Wait(8)"
        text = text.replace("Answer()", presses, 1)
    caller = f'exten => caller,1,Set(CALLERID(all)="Gizli" <{NUMBER}>)'
    path.write_text(f"{text}{caller}\n same => n,Goto(from-carrier,+902120000000,1)\n")
    lab.run("dialplan reload")


async def shown(told: list[Message], who: str) -> str:
    """Wait until a telephone rings, and return what it shows."""
    async with asyncio.timeout(15):
        while True:
            for each in told:
                if each["userevent"] == "Shown" and each["who"] == who:
                    return each["text"]
            await asyncio.sleep(0.05)


async def test_a_callers_number_is_not_shown_to_whom_the_queue_rings(lab: Lab, line):
    connection, told = line
    telephones(lab)
    await connection.say("QueueAdd", {"Queue": "sales", "Interface": "PJSIP/agent-1"})

    fields = {"Channel": "Local/caller@customers", "Application": "Wait", "Data": "8", "Async": "true"}
    await connection.say("Originate", fields)
    text = await shown(told, "agent-1")

    assert [each["calleridnum"] for each in told if each["userevent"] == "Arrived"] == [NUMBER]
    assert NUMBER not in text
    assert "Gizli" not in text
    await connection.say("QueueRemove", {"Queue": "sales", "Interface": "PJSIP/agent-1"})


async def test_a_number_that_is_dialled_is_shown_neither_to_the_agent_nor_to_whom_the_call_is_given(lab: Lab, line):
    connection, told = line
    telephones(lab)
    call_id = str(uuid4())
    variables = {"__DIALER_CALL_ID": call_id, "DIALER_CALLER_ID": "+902120000000"}

    fields = {"Channel": "PJSIP/agent-1", "ChannelId": call_id, "Context": "outbound", "Exten": NUMBER, "Priority": 1,
              "CallerID": '"Santral" <123456>', "Async": "true"}  # fmt: skip
    await connection.say("Originate", fields, variables=variables)
    of_customer = await shown(told, NUMBER)
    await asyncio.sleep(1.5)
    [customer] = {each["destchannel"] for each in told if each.event == "DialBegin" and each["uniqueid"] == call_id}
    await connection.say("Redirect", {"Channel": customer, "Context": "agents", "Exten": "2", "Priority": 1})
    of_colleague = await shown(told, "agent-2")

    assert NUMBER not in await shown(told, "agent-1")
    assert NUMBER not in of_colleague, of_colleague
    assert "+902120000000" in of_customer


@pytest.mark.parametrize(
    ("keys", "rung"), [("*22", "agent-2"), (f"*2{OUTSIDE}", None), (f"#{OUTSIDE}", None), ("#2", None)]
)
async def test_the_keys_of_a_telephone_give_a_customer_to_a_colleague_and_to_no_number(
    lab: Lab, line, keys: str, rung: str | None
):  # fmt: skip
    connection, told = line
    telephones(lab, keys=keys)
    call_id = str(uuid4())

    fields = {"Channel": "PJSIP/agent-1", "ChannelId": call_id, "Context": "outbound", "Exten": NUMBER, "Priority": 1,
              "CallerID": '"Santral" <123456>', "Async": "true"}  # fmt: skip
    await connection.say("Originate", fields, variables={"__DIALER_CALL_ID": call_id})
    await shown(told, NUMBER)
    await asyncio.sleep(9)

    ringing = {each["who"] for each in told if each["userevent"] == "Shown"}
    assert ringing - {"agent-1", NUMBER} == ({rung} if rung else set())
    await connection.say("Hangup", {"Channel": "/.*/"})
