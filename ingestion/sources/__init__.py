"""What each lead source sends, read into leads: one module a source, one parser each."""

from collections.abc import Mapping

from crm.inbox.chore import Parser
from crm.inbox.connections import Source
from ingestion.sources import google, meta


def parsers() -> Mapping[Source, Parser]:
    """Return the parser of every source."""
    return {Source.meta: meta.parse, Source.google: google.parse}
