"""Which contacts may be one person, and what a merge makes of their values: arithmetic."""

from datetime import UTC, date, datetime

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


class TestReplaced:
    @given(before=CHANNELS, after=CHANNELS)
    def test_keeps_the_sets_of_channels_even_where_they_are_the_same(self, before, after):
        changes = survival.replaced({"opted_out": before, "name": "Can"}, {"opted_out": after, "name": "Can"})

        assert changes == {"opted_out": (before, after)}


class TestRestored:
    def test_a_value_changed_since_stays(self):
        changes = {"name": ("Ayşe", "Ayşe Yılmaz"), "country": (None, "TR")}

        assert survival.restored({"name": "Ayşe Kaya", "country": "TR"}, changes) == {
            "name": "Ayşe Kaya",
            "country": None,
        }


class TestChannels:
    @given(before=CHANNELS, derived=CHANNELS)
    def test_what_nobody_touched_is_as_it_was(self, before, derived):
        assert survival.channels(before, derived, ()) == before

    @given(before=CHANNELS, derived=CHANNELS, touched=CHANNELS)
    def test_what_was_touched_is_as_the_facts_have_it(self, before, derived, touched):
        back = set(survival.channels(before, derived, touched))

        assert back & set(touched) == set(derived) & set(touched)
        assert back - set(touched) == set(before) - set(touched)


class TestToRestate:
    def word(self, contact, status, hour, channel="sms", purpose="marketing", lapses=None):
        return {
            "contact_id": contact, "status": status, "said_at": datetime(2026, 3, 3, hour, tzinfo=UTC),
            "channel": channel, "purpose": purpose, "valid_until": lapses,
        }  # fmt: skip

    def test_is_a_no_that_the_others_later_yes_would_lift(self):
        no, yes = self.word("a", "withdrawn", 8), self.word("b", "granted", 9, purpose="enquiry")

        assert survival.to_restate([no, yes]) == [(no, yes["said_at"])]

    @pytest.mark.parametrize("lapses", [None, datetime(2027, 1, 1, tzinfo=UTC)])
    def test_is_none_that_the_own_later_yes_has_lifted_for_good(self, lapses):
        no, own = self.word("a", "denied", 8, purpose="enquiry"), self.word("a", "granted", 9, lapses=lapses)
        other = self.word("b", "granted", 10)

        assert survival.to_restate([no, own, other]) == ([(no, other["said_at"])] if lapses else [])

    @pytest.mark.parametrize(
        ("contact", "status", "hour", "channel"),
        [
            ("a", "granted", 9, "sms"), ("b", "granted", 7, "sms"), ("b", "granted", 9, "call"),
            ("b", "denied", 9, "sms"),
        ],
    )  # fmt: skip
    def test_is_no_other(self, contact, status, hour, channel):
        no = self.word("a", "denied", 8)

        assert survival.to_restate([no, self.word(contact, status, hour, channel)]) == []


class TestToSayAgain:
    def fact(self, number, purpose, status, *, is_repeated=False):
        return {
            "id": number, "contact_id": "a", "channel": "sms", "purpose": purpose, "status": status,
            "is_repeated": is_repeated,
        }  # fmt: skip

    def test_is_the_yes_that_a_repeated_no_came_after(self):
        no, yes = self.fact(3, "marketing", "denied", is_repeated=True), self.fact(2, "enquiry", "granted")
        own_no = self.fact(1, "marketing", "denied")

        assert survival.to_say_again([no, yes, own_no]) == [yes]

    def test_is_nothing_that_was_refused_anew_or_had_been_refused(self):
        repeated, yes = self.fact(3, "enquiry", "denied", is_repeated=True), self.fact(1, "enquiry", "granted")

        assert survival.to_say_again([self.fact(4, "enquiry", "denied"), repeated, yes]) == []
        assert survival.to_say_again([repeated, self.fact(2, "enquiry", "denied"), yes]) == []
