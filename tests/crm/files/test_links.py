"""Links: good for one file, one person, a few minutes; nothing about them can be altered."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from crm import cursors, ids
from crm.files import links
from crm.files.links import BadLink, LinkExpired

NOW = datetime(2026, 3, 3, 9, 30, tzinfo=UTC)
TENANT, USER, FILE = ids.new(), ids.new(), ids.new()


class TestRead:
    def test_gives_back_what_was_signed(self):
        token, ends = links.make(TENANT, USER, FILE, now=NOW)

        assert links.read(token, FILE, now=NOW) == links.Link(TENANT, USER, FILE, ends)
        assert ends == NOW + links.GOOD_FOR

    def test_is_over_at_its_instant(self):
        token, ends = links.make(TENANT, USER, FILE, now=NOW)

        assert links.read(token, FILE, now=ends - timedelta(seconds=1))
        with pytest.raises(LinkExpired):
            links.read(token, FILE, now=ends)

    def test_opens_no_other_file(self):
        token, _ = links.make(TENANT, USER, FILE, now=NOW)

        with pytest.raises(BadLink):
            links.read(token, ids.new(), now=NOW)

    @given(some.integers(0, 1000), some.characters())
    def test_is_good_as_it_was_given_out_and_no_other_way(self, place: int, other: str):
        token, _ = links.make(TENANT, USER, FILE, now=NOW)
        at = place % len(token)
        altered = token[:at] + other + token[at + 1 :]

        if altered == token:
            return
        with pytest.raises(BadLink):
            links.read(altered, FILE, now=NOW)

    @given(some.text(max_size=200))
    def test_is_never_made_up(self, token: str):
        with pytest.raises(BadLink):
            links.read(token, FILE, now=NOW)

    def test_is_no_cursor_and_no_cursor_is_a_link(self):
        cursor = cursors.sign(str(FILE), purpose="attachments", tenant_id=TENANT)

        with pytest.raises(BadLink):
            links.read(cursor, FILE, now=NOW)
