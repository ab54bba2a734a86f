"""Codes: what may stand in events and audit rows."""

import pytest

from crm import codes


class TestRequire:
    @pytest.mark.parametrize("text", ["a", "no_answer", "2nd-try", "spring.2026", "2026-03-03", "x" * 60])
    def test_takes_codes(self, text: str):
        codes.require(reason=text)

    @pytest.mark.parametrize("text", ["", "Free text", "-a", "a\n", "a\0", "é", "x" * 61, "1" + "-" * 1_000_000])
    def test_refuses_the_rest_at_once(self, text: str):
        with pytest.raises(codes.NotACode) as refusal:
            codes.require(reason=text)

        assert list(refusal.value.fields) == ["reason"]

    @pytest.mark.parametrize("text", ["905321234567", "5321234567", "call-532.123_45-67", "0.5.3.2.1.2.3.4.5.6.7"])
    def test_refuses_what_may_be_a_number_and_does_not_repeat_it(self, text: str):
        with pytest.raises(codes.NotACode) as refusal:
            codes.require(reason=text)

        assert text not in f"{refusal.value} {refusal.value.fields}"
