"""Finding people by what somebody typed: the beginning of a name, or a whole phone number or e-mail address.

Numbers and addresses are looked up by their blind index: nothing is decrypted, and only an exact one is found.
"""

import re
from uuid import UUID

from crm import names, phone, vault
from crm.sql import Args

NUMBER = re.compile(r"[\d\s+().\-/]{7,}")
LAST = "\U0010ffff"
"""Sorts behind every letter: a name begins with `x` when it lies between `x` and `x` + this."""


def begins_with(column: str, folded: str, args: Args) -> str:
    """Return the SQL condition that a folded name begins so; folded text sorts by its bytes.

    `like` may not use an index under row-level security (it could leak); these operators may.
    """
    return f"{column} ~>=~ {args.add(folded, 'text')} and {column} ~<~ {args.add(folded + LAST, 'text')}"


def people(tenant_id: UUID, text: str, args: Args, *, contact_id: str) -> str:
    """Return the SQL condition that `contact_id` is one of the people whom the text may mean."""
    if found_as := address(text):
        kind, value = found_as
        index = args.add(vault.blind_index(tenant_id, kind, value), "bytea")
        found = f"select p.contact_id from crm.contact_point p where p.kind = '{kind}' and p.blind_index = {index}"
        return f"{contact_id} = ({found})"
    begins = begins_with("n.name_search", names.fold(text), args)
    return f"{contact_id} in (select n.id from crm.contact n where {begins})"


def address(text: str) -> tuple[str, str] | None:
    """Return the kind and the canonical form of a whole phone number or e-mail address, or None for a name."""
    if "@" in text:
        return "email", text.strip().lower()
    if NUMBER.fullmatch(text.strip()):
        try:
            return "phone", phone.parse(text)
        except phone.NotAPhone:
            return None  # digits that are no number: nobody is called that, and nobody is found
    return None
