"""Which contacts may be one person, and what a merge makes of their values: arithmetic."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm import names
from crm.duplicates import rules, survival
from crm.duplicates.rules import Person, Reason

DAY = date(2026, 3, 3)
AYSE = Person("ayse yilmaz", "TR", phone="+90 ••• ••• •• 67", enquiries=frozenset({("spring", DAY)}))
WORDS = st.text("abcçğıiöşu", min_size=1, max_size=8)
NAMES = st.lists(WORDS, min_size=1, max_size=4).map(" ".join).map(names.fold)


class TestReasons:
    @pytest.mark.parametrize(
        ("other", "found"),
        [
            (Person("yilmaz ayse"), {Reason.same_name}),
            (Person("ayse yilmas"), {Reason.similar_name}),
            (Person("mehmet kaya", "TR", phone=AYSE.phone, enquiries=AYSE.enquiries), set()),
            (Person("ayse yilmaz", "TR"), {Reason.same_name, Reason.same_country}),
            (Person("ayse yilmaz", phone=AYSE.phone), {Reason.same_name, Reason.phone_hint}),
            (Person("ayse yilmaz", email="a•••@b.com"), {Reason.same_name, Reason.complementary}),
            (Person("ayse yilmaz", enquiries=[("spring", DAY)]), {Reason.same_name, Reason.same_campaign_day}),
            (Person(""), set()),
        ],
    )
    def test_are_the_signs_there_are(self, other, found):
        assert rules.reasons(AYSE, other) == found

    @given(first=NAMES, second=NAMES)
    def test_do_not_depend_on_which_comes_first(self, first, second):
        assert rules.reasons(Person(first), Person(second)) == rules.reasons(Person(second), Person(first))


class TestScore:
    def test_asks_for_more_than_a_name(self):
        assert rules.score([Reason.same_name, Reason.same_country]) < rules.THRESHOLD
        assert rules.score([Reason.similar_name, Reason.same_country]) < rules.THRESHOLD
        assert rules.score([Reason.same_name, Reason.phone_hint]) >= rules.THRESHOLD
        assert rules.score([Reason.similar_name, Reason.same_campaign_day]) >= rules.THRESHOLD
        assert rules.score([Reason.conflicting_keys]) >= rules.THRESHOLD

    @given(found=st.sets(st.sampled_from(Reason)), more=st.sampled_from(Reason))
    def test_grows_with_each_sign(self, found, more):
        assert 0 <= rules.score(found) <= rules.score(found | {more}) <= 1


class TestBlocks:
    @given(name=NAMES, data=st.data())
    def test_bring_one_slip_in_the_later_letters_together(self, name, data):
        words = rules.ordered(name).split()
        where = data.draw(st.integers(0, len(words) - 1))
        slip = data.draw(st.sampled_from("abcdxyz"))
        if len(words) < 2 or len(words[where]) <= rules.PREFIX:
            return
        slipped = " ".join([*words[:where], words[where][:-1] + slip, *words[where + 1 :]])

        if rules.ordered(slipped).split() == slipped.split() and where in (0, len(words) - 1):
            assert set(rules.blocks(name)) & set(rules.blocks(slipped))

    def test_of_one_word_say_too_little(self):
        assert list(rules.blocks("ayse")) == []


class TestName:
    @pytest.mark.parametrize(
        ("winner", "loser", "survives"),
        [
            ("Ayşe", "Ayşe Yılmaz", "Ayşe Yılmaz"),
            ("Ayşe Yılmaz", "ayse", "Ayşe Yılmaz"),
            ("", "Can", "Can"),
            ("Ayşe Kaya", "Ayşe Yılmaz", "Ayşe Kaya"),
            ("AYŞE YILMAZ", "Ayşe Yılmaz", "AYŞE YILMAZ"),
        ],
    )
    def test_that_survives_is_the_winners_or_the_fuller(self, winner, loser, survives):
        assert survival.name_of(winner, loser) == survives


CHANNELS = st.sets(st.sampled_from(["call", "sms", "email"])).map(sorted)


class TestRestored:
    @given(before=CHANNELS, after=CHANNELS)
    def test_what_nobody_touched_is_as_it_was(self, before, after):
        assert survival.restored({"opted_out": after}, {"opted_out": (before, after)}) == {"opted_out": before}

    @given(before=CHANNELS, after=CHANNELS, current=CHANNELS)
    def test_what_was_said_since_stays(self, before, after, current):
        back = survival.restored({"opted_out": current}, {"opted_out": (before, after)}, said=set(current))

        assert set(current) <= set(back["opted_out"])

    def test_a_value_changed_since_stays(self):
        changes = {"name": ("Ayşe", "Ayşe Yılmaz"), "country": (None, "TR")}

        assert survival.restored({"name": "Ayşe Kaya", "country": "TR"}, changes) == {
            "name": "Ayşe Kaya",
            "country": None,
        }
