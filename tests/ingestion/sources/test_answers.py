"""What answers of forms tell, whatever people write into them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.sources import answers

WORDS = st.text(st.characters(codec="utf-8"), max_size=80)


class TestKeyword:
    @pytest.mark.parametrize("question", ["utm_term", "UTM Term", "Keyword", "kw", "hsa_kw"])
    def test_is_read_from_each_hidden_field(self, question):
        assert answers.keyword({"utm_source": "g", question: " diş implantı "}) == "diş implantı"

    def test_the_first_that_is_filled_in_counts(self):
        assert answers.keyword({"kw": "b", "utm_term": "", "keyword": "a"}) == "a"

    @pytest.mark.parametrize("private", ["0532 123 45 67", "+90 532 123 45 67", "ayse@example.com"])
    def test_never_tells_how_somebody_is_reached(self, private):
        assert private not in (answers.keyword({"utm_term": f"implant {private}"}) or "")

    def test_is_unknown_without_one(self):
        assert answers.keyword({"utm_source": "g", "utm_term": "  "}) is None


class TestGeography:
    @pytest.mark.parametrize(
        ("told", "wanted"),
        [
            ({"utm_geo": "Kadıköy"}, "Kadıköy"), ({"city": "St. Gallen"}, "St. Gallen"),
            ({"geo": "Île-de-Ré"}, "Île-de-Ré"), ({"city": "İstanbul", "geography": "Marmara"}, "Marmara"),
            ({"region": "34710"}, "TR"), ({"city": "⁰⁵³²"}, "TR"), ({"city": "ayse@example.com"}, "TR"),
            ({"state": "x" * 61}, "TR"), ({}, "TR"),
        ],
    )  # fmt: skip
    def test_is_a_place_or_the_country(self, told, wanted):
        assert answers.geography(told, "TR") == wanted

    def test_is_unknown_without_either(self):
        assert answers.geography({}, "") is None

    @given(WORDS)
    def test_holds_nothing_by_which_somebody_is_reached(self, told):
        found = answers.geography({"city": told}, "") or ""

        assert not any(sign.isdigit() or sign == "@" for sign in found)


class TestConsents:
    @pytest.mark.parametrize(
        ("answer", "wanted"), [("Evet", "granted"), ("1", "granted"), ("hayır", "denied"), ("", "denied")]
    )
    def test_are_read_in_both_languages(self, answer, wanted):
        [said] = answers.consents([("whatsapp_izni", answer)], {})

        assert (said.channel, said.status, said.evidence["answer"]) == ("whatsapp", wanted, answer)

    def test_what_is_neither_says_nothing(self):
        assert answers.consents([("sms_onay", "perhaps")], {}) == []

    @pytest.mark.parametrize("order", [("yes", "no"), ("no", "yes")])
    def test_a_refusal_wins(self, order):
        [said] = answers.consents(zip(("call_consent", "phone_permission"), order, strict=True), {})

        assert said.status == "denied"

    def test_the_connection_knows_better_than_the_words(self):
        said = answers.consents([("call_consent", "yes"), ("box_7", "yes")], {"call_consent": [], "box_7": ["email"]})

        assert [each.channel for each in said] == ["email"]

    @given(st.lists(st.tuples(WORDS, WORDS), max_size=6))
    def test_nothing_that_is_written_breaks_us(self, answered):
        found = answers.consents(answered, {})

        assert len({each.channel for each in found}) == len(found)


@given(st.dictionaries(WORDS, WORDS, max_size=6))
def test_attributes_have_tidy_names_and_no_addresses(answered):
    for name, value in answers.attributes(answered).items():
        assert name == answers.tidy(name)
        assert value
        assert not answers.PERSONAL.search(name)
