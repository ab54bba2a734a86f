"""Contacts that come again, and consent, in SQL by hand."""

from collections.abc import Mapping

from orchestration.hands.places import Hand, Place, share

# Handled calls that people made, with whether the same person came again, for the same reason or any, or had come
# before; who writes comes again, too, and does not say about what.
CONTACT = Place(
    """(
    with contacts as (
      select c.tenant_id, c.call_id as id, c.contact_id, c.started_at, c.timezone, true as is_call,
             coalesce(c.disposition, 'unspecified') as reason,
             (select v.queue from published.fct_queue_visit v
               where v.tenant_id = c.tenant_id and v.call_id = c.call_id order by v.visit_no limit 1) as queue
        from published.fct_call c
       where c.direction = 'inbound' and c.is_handled and not c.is_test
         and coalesce(c.disposition_party, 'right') <> 'wrong'
      union all
      select a.tenant_id, a.activity_id, a.contact_id, a.occurred_at, null, false, 'unspecified', null
        from published.fct_activity a
       where a.kind = 'message' and a.direction = 'inbound'
    )
    select c.tenant_id, c.id, c.contact_id, c.started_at, c.timezone, c.queue, c.reason,
           coalesce(bool_or((o.started_at, o.id) > (c.started_at, c.id)), false) as came_back,
           coalesce(bool_or((o.started_at, o.id) > (c.started_at, c.id) and o.reason = c.reason), false)
             as came_back_for_it,
           coalesce(bool_or((o.started_at, o.id) < (c.started_at, c.id) and o.reason = c.reason), false)
             as is_repeat
      from contacts c
      left join contacts o
        on o.tenant_id = c.tenant_id and o.contact_id = c.contact_id and o.id <> c.id
       and o.started_at between c.started_at - interval '7 days' and c.started_at + interval '7 days'
     where c.is_call
     group by c.tenant_id, c.id, c.contact_id, c.started_at, c.timezone, c.queue, c.reason
    ) as contacts""",
    "(started_at at time zone timezone)::date", {"queue": "queue", "reason": "reason"},
)  # fmt: skip
BI_CONTACT = Place("bi.inbound_contact", "started_on", CONTACT.dims)
CONTACTS = (CONTACT, BI_CONTACT)
KNOWN = "contact_id is not null"
RESOLUTION: Mapping[str, Hand] = {
    "fcr": Hand(
        share(f"{KNOWN} and not came_back_for_it", KNOWN), CONTACTS,
        {"bi.inbound_contact": share("is_known_person and not is_followed_same_reason", "is_known_person")},
    ),
    "fcr_any_reason": Hand(
        share(f"{KNOWN} and not came_back", KNOWN), CONTACTS,
        {"bi.inbound_contact": share("is_known_person and not is_followed_any_reason", "is_known_person")},
    ),
    "fcr_unknown_share": Hand(
        share("contact_id is null"), CONTACTS, {"bi.inbound_contact": share("not is_known_person")}
    ),
    "repeat_contact_rate": Hand(share("is_repeat"), CONTACTS),
}  # fmt: skip

AGREED = Place(
    "published.fct_lead_consent", "received_on",
    {"platform": "platform", "source": "source", "channel": "channel"}, "not is_test",
)  # fmt: skip
COMPLIANCE: Mapping[str, Hand] = {
    "consent_coverage": Hand(share("has_consent"), (AGREED,), always=("channel",)),
}
