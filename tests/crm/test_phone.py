"""Reading numbers: the quick way says what the library says, or leaves it to the library."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm import phone

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)


@st.composite
def numbers(draw) -> tuple[str, str]:
    """Draw a country and something like a number of it: an example with some digits changed, and a beginning."""
    region = draw(st.sampled_from(REGIONS))
    code = phonenumbers.country_code_for_region(region)
    example = phonenumbers.example_number_for_type(region, draw(st.integers(0, 10)))
    digits = list(phonenumbers.national_significant_number(example) if example else draw(st.from_regex(r"\d{4,14}")))
    for place in draw(st.lists(st.integers(0, len(digits) - 1), max_size=4)):
        digits[place] = draw(st.sampled_from("0123456789 -."))
    beginning = draw(
        st.sampled_from([f"+{code}", f"+{code} ", f"+{code}0", "", "0", "00", f"00{code}", f"{code}", "(0)", "1", "8"])
    )
    return beginning + "".join(digits), region


@given(numbers())
def test_the_quick_way_never_differs(given):
    text, region = given

    quick = phone._read_plainly(text, region)

    if quick is not None:
        assert quick == phone._read(text, region)


@pytest.mark.parametrize(
    "text", ["+905321234567", "0532 123 45 67", "532-123-45-67", "0 (532) 123.45.67", "00905321234567"]
)
def test_reads_what_people_write(text):
    assert phone.read(text) == ("+905321234567", "TR", "+90 ••• ••• •• 67")


def test_a_number_from_abroad_keeps_its_country():
    assert phone.read("+1 202 555 0147") == ("+12025550147", "US", "+1 ••• ••• •• 47")
    assert phone.read("020 7946 0018", country="GB") == ("+442079460018", "GB", "+44 ••• ••• •• 18")


@pytest.mark.parametrize("text", ["", "12", "+90", "+90 532 123", "call me", "+99912345678", "١٢٣"])
def test_refuses_the_rest_without_repeating_it(text):
    with pytest.raises(phone.NotAPhone) as refusal:
        phone.read(text)

    assert not text or text not in str(refusal.value)


@pytest.mark.parametrize(
    ("number", "kinds"),
    [
        ("+905321234567", {"mobile"}), ("+902121234567", {"fixed_line"}), ("+909001234567", {"premium_rate"}),
        ("+4918012345", {"shared_cost"}), ("+12015550123", {"fixed_line", "mobile"}),
    ],
)  # fmt: skip
def test_tells_the_kinds_of_a_number(number, kinds):
    assert phone.kinds_of(number) == kinds
