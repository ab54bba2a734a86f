"""The vault: personal data sealed under a key per person, found by blind index, shown as a mask (SEC-5)."""

from crm.vault.keyring import DataKey, close, destroy, find, take
from crm.vault.masking import mask_email, scrub, scrub_all, scrub_label
from crm.vault.sealing import Unreadable, blind_index
from crm.vault.streams import open_stream, seal_stream

__all__ = [
    "DataKey",
    "Unreadable",
    "blind_index",
    "close",
    "destroy",
    "find",
    "mask_email",
    "open_stream",
    "scrub",
    "scrub_all",
    "scrub_label",
    "seal_stream",
    "take",
]
