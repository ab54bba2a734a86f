"""Signatures over raw bytes."""

import json

from hypothesis import given
from hypothesis import strategies as st

from crm.inbox import signatures


class TestMeta:
    def test_known_answer(self):
        # HMAC-SHA-256 of RFC 4231, test case 2.
        assert signatures.meta_signature(b"what do ya want for nothing?", "Jefe") == (
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        )

    @given(st.binary(), st.text(min_size=1, max_size=20), st.binary(min_size=1, max_size=1), st.data())
    def test_one_changed_byte_breaks_it(self, body, secret, other, data):
        signature = signatures.meta_signature(body, secret)
        place = data.draw(st.integers(0, len(body)))
        altered = body[:place] + other + body[place + 1 :]

        assert signatures.is_from_meta(body, signature, secret)
        assert signatures.is_from_meta(altered, signature, secret) == (altered == body)
        assert not signatures.is_from_meta(body, None, secret)

    @given(st.text())
    def test_no_header_breaks_us(self, header):
        assert not signatures.is_from_meta(b"{}", header, "secret")


class TestGoogle:
    def test_looks_for_the_key_in_the_body(self):
        assert signatures.is_from_google(json.dumps({"google_key": "ğkey"}).encode(), "ğkey")
        assert not signatures.is_from_google(json.dumps({"google_key": "other"}).encode(), "ğkey")

    @given(
        st.one_of(
            st.binary(), st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps).map(str.encode)
        )
    )
    def test_no_body_breaks_us(self, body):
        assert not signatures.is_from_google(body, "key")
