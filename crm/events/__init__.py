"""The event log (OBS-1): what happened, written in the transaction that made it happen, read commit-safely."""

from crm.events.log import Event, record, record_dated, record_many
from crm.events.reader import BatchReader, LiveReader

__all__ = ["BatchReader", "Event", "LiveReader", "record", "record_dated", "record_many"]
