"""Files on timelines (COMM-7): checked by content, sealed under a key of their own, opened by short-lived links."""
