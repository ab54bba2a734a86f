"""The kinds of refusal. A slice names its own case beside the function that raises it; each door renders it (SEC-7)."""

from collections.abc import Mapping


class CrmError(Exception):
    """Expected trouble: it has a code for machines, a sentence for people, and the fields at fault."""

    code = "error"
    retryable = False

    def __init__(self, message: str = "", *, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])
        self.fields = dict(fields or {})


class Invalid(CrmError):
    """What was sent cannot be understood or breaks a rule; `fields` says where."""

    code = "invalid"


class NotFound(CrmError):
    """There is no such thing, or it is another tenant's: nobody can tell which."""

    code = "not_found"


class Gone(CrmError):
    """It was there, and is no more."""

    code = "gone"


class NotAllowed(CrmError):
    """You may not do this."""

    code = "not_allowed"


class NotAuthenticated(CrmError):
    """Sign in first."""

    code = "not_authenticated"


class Conflict(CrmError):
    """The thing has moved on, or exists already."""

    code = "conflict"


class TooMany(CrmError):
    """Too many requests; wait and try again."""

    code = "too_many"
    retryable = True


class Unavailable(CrmError):
    """A part this needs does not answer now; try again later."""

    code = "unavailable"
    retryable = True
