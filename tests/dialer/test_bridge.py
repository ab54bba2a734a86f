"""Calls over the bridge, from the wish to the end, on a loopback exchange."""

import pytest

from dialer.exchange.people import Party
from tests.dialer.floor import Floor, at_work

NUMBER = "+905321234567"
CUSTOMER = "PJSIP/905321234567@carrier"


@pytest.fixture
async def floor(tenant):
    async with at_work(tenant) as floor:
        yield floor


class TestClickToCall:
    async def test_goes_from_the_wish_to_the_write_up(self, floor: Floor):
        lead = await floor.lead(NUMBER)
        floor.people[CUSTOMER] = Party(rings_s=2, stays_s=8)

        placed = await floor.click(lead)
        row = await floor.until_status(placed.call_id, "wrap_up")

        assert row["steps"] == [
            "requested", "checked", "originating", "agent_ringing", "ringing", "answered", "connected", "ended",
            "wrap_up",
        ]  # fmt: skip
        assert (row["outcome"], row["cause"], row["failure"]) == ("answered", 16, None)
        assert 7.5 < row["talk_s"] < 10
