"""How large, deep and dear a GraphQL document may be; it is refused before anything of it is checked or run.

Checking a document can cost more than running it: fragments that name each other twice unfold without end, and fields
that repeat are compared each with each. So the limits come first, and each part of a document is measured once.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    SelectionSetNode,
)
from strawberry.extensions import MaxTokensLimiter, SchemaExtension

DEEPEST = 8
MOST_TOKENS = 800
MOST_FRAGMENTS = 20
MOST_ALIASES = 10
MOST_REPEATED = 10
"""How often a field may be asked for in one place: validating compares each with each."""
DEAREST = 100
PRICES = {"kpi": 33, "metrics": 20, "metric": 5, "sql": 10}
"""What a field costs that asks the database or the compiler; any other costs nothing."""
MANY = {"metrics": 10}
"""Lists whose fields are paid for so many times."""


@dataclass(frozen=True, slots=True)
class Size:
    """What a part of a document comes to once its fragments are unfolded."""

    depth: int = 0
    aliases: int = 0
    price: int = 0
    repeated: int = 0
    """How often a field is asked for in one place below."""
    names: Counter[str] = field(default_factory=Counter)
    """How often each field is asked for in this place."""

    def beside(self, other: "Size") -> "Size":
        """Return the size of two parts side by side."""
        return Size(
            depth=max(self.depth, other.depth),
            aliases=self.aliases + other.aliases,
            price=self.price + other.price,
            repeated=max(self.repeated, other.repeated),
            names=self.names + other.names,
        )

    @property
    def most_repeated(self) -> int:
        """How often a field is asked for in one place, this one among them."""
        return max(self.repeated, *self.names.values(), 0)


class Measure:
    """Measures the selections of a document, each fragment once; one inside itself, refused elsewhere, adds nothing."""

    def __init__(self, fragments: dict[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._known: dict[str, Size] = {}

    def of(self, selected: SelectionSetNode | None) -> Size:
        """Return what a selection comes to."""
        total = Size()
        for each in selected.selections if selected else ():
            if isinstance(each, FragmentSpreadNode):
                total = total.beside(self._fragment(each.name.value))
            elif isinstance(each, FieldNode):
                total = total.beside(self._field(each))
            else:
                total = total.beside(self.of(each.selection_set))  # type: ignore[attr-defined]
        return total

    def _fragment(self, name: str) -> Size:
        if name not in self._known:
            self._known[name] = Size()
            if name in self._fragments:
                self._known[name] = self.of(self._fragments[name].selection_set)
        return self._known[name]

    def _field(self, node: FieldNode) -> Size:
        name, within = node.name.value, self.of(node.selection_set)
        return Size(
            # How deep one may look into the schema itself is GraphQL's own rule.
            depth=0 if name.startswith("__") or not node.selection_set else 1 + within.depth,
            aliases=bool(node.alias) + within.aliases,
            price=PRICES.get(name, 0) + MANY.get(name, 1) * within.price,
            repeated=within.most_repeated,
            names=Counter([node.alias.value if node.alias else name]),
        )


def excess(document: DocumentNode) -> list[GraphQLError]:
    """Return in what a document is more than may be asked at once."""
    fragments = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}
    if len(fragments) > MOST_FRAGMENTS:
        return [GraphQLError(f"{len(fragments)} fragments; there may be {MOST_FRAGMENTS}")]
    measure = Measure(fragments)
    operations = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    sizes = [measure.of(one.selection_set) for one in operations]
    aliases = sum(size.aliases for size in sizes)
    found = [_refusal(one, size) for one, size in zip(operations, sizes, strict=True)]
    if aliases > MOST_ALIASES:
        found.append(GraphQLError(f"{aliases} aliases; there may be {MOST_ALIASES}"))
    return [each for each in found if each]


def _refusal(operation: OperationDefinitionNode, size: Size) -> GraphQLError | None:
    if size.depth > DEEPEST:
        return GraphQLError(f"this is more than {DEEPEST} deep, the maximum depth", [operation])
    if size.most_repeated > MOST_REPEATED:
        return GraphQLError(f"a field is repeated {size.most_repeated} times; it may be {MOST_REPEATED}", [operation])
    if size.price > DEAREST:
        return GraphQLError(f"this costs {size.price} and may cost {DEAREST}: ask for less at once", [operation])
    return None


class Limits(SchemaExtension):
    """Refuses what is too much before it is validated."""

    def on_validate(self) -> Iterator[None]:
        """Leave the errors in the place of those that validating would find."""
        document = self.execution_context.graphql_document
        if document and (found := excess(document)):
            self.execution_context.pre_execution_errors = found
        yield


def extensions() -> list[Callable[[], SchemaExtension]]:
    """Return the limits as the schema takes them: made anew for each document."""
    return [lambda: MaxTokensLimiter(max_token_count=MOST_TOKENS), Limits]
