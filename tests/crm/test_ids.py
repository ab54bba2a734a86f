"""Ids: fresh ones sort by time; those of an invented firm come again for the same seed."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from crm import ids

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class TestNew:
    def test_is_of_version_7_and_ascends(self):
        made = [ids.new() for _ in range(100)]

        assert {each.version for each in made} == {7}
        assert made == sorted(made)


class TestSequence:
    @given(seed=st.text(max_size=20), at=st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)))
    def test_is_of_version_7_ascends_and_begins_at_its_instant(self, seed, at):
        made = [UUID(bytes=each) for each in islice(ids.sequence(seed, at.replace(tzinfo=UTC)), 50)]

        assert {(each.version, each.variant) for each in made} == {(7, "specified in RFC 4122")}
        assert made == sorted(set(made))
        begins = datetime.fromtimestamp((made[0].int >> 80) / 1000, UTC)
        assert abs(begins - at.replace(tzinfo=UTC)) <= timedelta(milliseconds=2)

    def test_comes_again_for_the_same_seed_and_instant_alone(self):
        first = list(islice(ids.sequence("1", NOON), 5))

        assert list(islice(ids.sequence("1", NOON), 5)) == first
        assert list(islice(ids.sequence("2", NOON), 5)) != first
        assert list(islice(ids.sequence("1", NOON + timedelta(hours=1)), 5)) != first


class TestRepeated:
    def test_ids_within_come_from_the_sequence_and_those_after_are_fresh(self):
        with ids.repeated(ids.sequence("1", NOON)):
            inside = [ids.new(), ids.new()]
        outside = ids.new()

        assert [each.bytes for each in inside] == list(islice(ids.sequence("1", NOON), 2))
        assert outside.bytes not in islice(ids.sequence("1", NOON), 10)

    def test_what_several_databases_share_stays_unique(self):
        with ids.repeated(ids.sequence("1", NOON)):
            shared = ids.unique()

        assert shared.bytes not in islice(ids.sequence("1", NOON), 10)

    async def test_holds_in_one_task_alone(self):
        async def beside() -> UUID:
            return ids.new()

        other = asyncio.create_task(beside())
        with ids.repeated(ids.sequence("1", NOON)):
            await other
            inside = ids.new()

        assert inside.bytes == next(ids.sequence("1", NOON))
