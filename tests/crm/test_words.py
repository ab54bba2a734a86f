"""Phones, masks, scrubbing, folding: what must hold for every text somebody may send."""

import re

import phonenumbers
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crm import names, phone, vault

COUNTRIES = ["TR", "DE", "GB", "US", "FR", "NL", "AE", "SA", "RU", "IT", "AZ", "JP"]


@st.composite
def numbers(draw):
    """A valid mobile or landline number of some country, in E.164: an example of the plan with its tail redrawn."""
    country = draw(st.sampled_from(COUNTRIES))
    kind = draw(st.sampled_from([phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE]))
    example = phonenumbers.example_number_for_type(country, kind)
    national = str(example.national_number)
    tail = draw(st.integers(0, 10**4 - 1))
    number = phonenumbers.PhoneNumber(
        country_code=example.country_code,
        national_number=int(f"{national[:-4]}{tail:04d}"),
        italian_leading_zero=example.italian_leading_zero,
    )
    assume(phonenumbers.is_valid_number(number))
    return number


class TestPhone:
    @given(numbers())
    def test_every_notation_is_the_same_number(self, number):
        e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        country = phonenumbers.region_code_for_number(number)

        assert re.fullmatch(r"\+[1-9]\d{6,14}", e164)
        assert phone.parse(e164) == e164
        for notation in (phonenumbers.PhoneNumberFormat.INTERNATIONAL, phonenumbers.PhoneNumberFormat.RFC3966):
            assert phone.parse(phonenumbers.format_number(number, notation)) == e164
        national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
        assert phone.parse(national, country=country) == e164

    @given(st.text(max_size=40))
    def test_any_text_is_a_number_or_refused_without_repeating_it(self, text):
        said = None
        try:
            parsed = phone.parse(text)
        except phone.NotAPhone as refusal:
            said = f"{refusal} {refusal.fields}"

        if said is None:
            assert re.fullmatch(r"\+[1-9]\d{6,14}", parsed)
            assert phone.parse(parsed) == parsed
        else:
            digits = re.sub(r"\D", "", text)
            assert len(digits) < 4 or digits not in said

    @given(numbers())
    def test_a_mask_shows_at_most_two_digits_of_the_subscriber(self, number):
        e164 = phone.parse(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))

        shown = phone.mask(e164)

        code = f"+{number.country_code}"
        assert shown.startswith(code)
        assert len(re.findall(r"\d", shown.removeprefix(code))) == 2
        assert re.findall(r"\d", shown)[-2:] == list(e164[-2:])


LOCAL = st.from_regex(r"[a-z0-9][a-z0-9._+-]{1,30}", fullmatch=True)
DOMAIN = st.from_regex(r"[a-z0-9]{1,20}\.[a-z]{2,6}", fullmatch=True)


class TestMaskEmail:
    @given(LOCAL, DOMAIN)
    def test_shows_one_letter_and_the_domain(self, local, domain):
        shown = vault.mask_email(f"{local}@{domain}")

        assert shown == f"{local[0]}•••@{domain}"


class TestScrub:
    @given(numbers(), LOCAL, DOMAIN, st.text(alphabet="abcçdeğ ,;!?\n", max_size=20), st.data())
    def test_hides_every_number_and_address(self, number, local, domain, words, data):
        assume(local[-1].isalnum())
        notation = data.draw(st.sampled_from([0, 1, 2, 3]))
        written = phonenumbers.format_number(number, notation)

        shown = vault.scrub(f"{words} {written} {words} {local}@{domain} {words}")

        assert f"{local}@{domain}" not in shown
        national = str(number.national_number)
        assert national not in re.sub(r"\D", "", shown)
        assert len(re.findall(r"\d", shown)) < 4

    @given(st.text(max_size=200))
    def test_is_done_once(self, text):
        once = vault.scrub(text)

        assert vault.scrub(once) == once

    @given(st.text(alphabet=st.characters(exclude_categories=["Nd"], exclude_characters="@"), max_size=100))
    def test_leaves_other_text_alone(self, text):
        assert vault.scrub(text) == text

    @pytest.mark.parametrize("date", ["2026-03-03", "2026-03-03T09:30:00+03:00", "03.03.2026", "3/3/2026"])
    def test_leaves_dates(self, date):
        assert vault.scrub(f"call after {date} please") == f"call after {date} please"


class TestScrubLabel:
    @pytest.mark.parametrize(
        "kept", [None, "", "20123456789", "c:120215332419680123", "ad-7", "Saç Ekimi 2026", "form"]
    )
    def test_leaves_ids_and_names(self, kept):
        assert vault.scrub_label(kept) == kept

    @pytest.mark.parametrize(
        "misplaced", ["0532 456 78 91", "05324567891", "+905324567891", "Ayşe 5324567891", "a@b.example"]
    )
    def test_hides_what_belongs_to_a_person(self, misplaced):
        assert "•••" in vault.scrub_label(misplaced)


class TestFold:
    @given(st.text(max_size=60))
    def test_is_done_once_and_leaves_no_capitals_or_double_spaces(self, name):
        folded = names.fold(name)

        assert names.fold(folded) == folded
        assert "  " not in folded
        assert folded == folded.strip()
