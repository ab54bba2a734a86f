"""A mapping is read whole or refused in sentences."""

import pytest

from crm.imports import mapping
from crm.leads.rules import Status

SMALL = "source: fair\nfields: {phone: Phone}\n"


def test_an_unquoted_yes_is_a_word_and_a_leading_zero_stays():
    found = mapping.parse(SMALL + "consents: [{column: Mail, channel: email, values: {Yes: denied, 007: granted}}]")

    assert found.consents[0].values == {"yes": "denied", "007": "granted"}


def test_names_every_column_it_needs():
    found = mapping.parse(
        """
        source: fair
        fields: {name: [First, Last], phone: {column: Phone}, campaign: {value: Spring}}
        status: [{column: State, values: {Sold: won}}]
        tags: [Tag]
        attributes: [City]
        """
    )

    assert found.columns == {"First", "Last", "Phone", "State", "Tag", "City"}
    assert found.status[0].values["sold"].status is Status.won


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the mapping is empty"),
        ("source: [", "not YAML"),
        ("fields: {phone: Phone}", "source: is missing"),
        (SMALL + "colour: red", "colour: there is no such setting"),
        (SMALL + "encoding: klingon", "encoding: is no encoding"),
        ("source: fair\nfields: {acquired_at: {column: T, zone: Mars/Olympus}}", "is no time zone"),
        (SMALL + "status: [{column: S, values: {Sold: sold}}]", "status.0.values.sold.status"),
        (SMALL + "default_country: Turkey", "default_country"),
    ],
)
def test_says_what_is_wrong(text, sentence):
    with pytest.raises(mapping.MappingInvalid, match=sentence):
        mapping.parse(text)
