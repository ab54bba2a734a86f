"""Finding the route of a request by the first word of its path, instead of trying every route in turn.

With sixty routes, trying them all costs more than everything else the framework does for a request.
"""

from collections import defaultdict
from collections.abc import Iterable

from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from api.deps import GuardedRoute


class Index(BaseRoute):
    """Stands before the routes it knows and leads a request to the one that takes it; what it does not know goes on.

    The routes stay in the application's list behind it, for descriptions and for what no first word decides.
    """

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._by_word: dict[str, list[GuardedRoute]] = defaultdict(list)
        for route in routes:
            if isinstance(route, GuardedRoute):
                self._by_word[_first_word(route.path)].append(route)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return the first full match among the routes of the path's first word, else the first partial one."""
        partial: tuple[Match, Scope] = (Match.NONE, {})
        if scope["type"] != "http":
            return partial
        for route in self._by_word.get(_first_word(scope["path"]), ()):
            match, child_scope = route.matches(scope)
            if match is Match.FULL:
                return match, child_scope
            if match is Match.PARTIAL and partial[0] is Match.NONE:
                partial = (match, child_scope)
        return partial

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the route that matched do the work."""
        await scope["route"].handle(scope, receive, send)


def _first_word(path: str) -> str:
    """Return `leads` of `/leads/{lead_id}/status`."""
    return path[1:].partition("/")[0]
