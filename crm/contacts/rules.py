"""What is true of a contact at a glance, as SQL for the lists that show it."""

CAPABILITIES = ", ".join(
    f"'can_{verb}', (c.{address} is not null and c.archived_at is null and not ('{verb}' = any(c.opted_out)))"
    for verb, address in (("call", "phone_masked"), ("whatsapp", "phone_masked"), ("email", "email_masked"))
)
"""Pairs for `json_build_object`: through which channels the contact `c` can be reached. `consent` has the last word."""
