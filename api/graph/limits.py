"""How deep and how dear a GraphQL document may be; it is refused before anything of it is run."""

from collections.abc import Callable

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    SelectionSetNode,
    ValidationContext,
    ValidationRule,
)
from strawberry.extensions import (
    AddValidationRules,
    MaxAliasesLimiter,
    MaxTokensLimiter,
    QueryDepthLimiter,
    SchemaExtension,
)

DEEPEST = 8
MOST_TOKENS = 1_500
MOST_ALIASES = 10
DEAREST = 100
PRICES = {"kpi": 20, "metrics": 20, "metric": 5, "sql": 10}
"""What a field costs that asks the database or the compiler; any other costs nothing."""
MANY = {"metrics": 5}
"""Lists whose fields are paid for so many times."""


class CostLimit(ValidationRule):
    """Refuses a document of which an operation costs more than `DEAREST`."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        definitions = context.document.definitions
        fragments = {one.name.value: one for one in definitions if isinstance(one, FragmentDefinitionNode)}
        for one in definitions:
            if isinstance(one, OperationDefinitionNode):
                price = cost(one.selection_set, fragments)
                if price > DEAREST:
                    context.report_error(
                        GraphQLError(f"this costs {price} and may cost {DEAREST}: ask for less at once", [one])
                    )


def cost(
    selected: SelectionSetNode | None,
    fragments: dict[str, FragmentDefinitionNode],
    within: frozenset[str] = frozenset(),
) -> int:
    """Return what the fields of a selection cost; a fragment inside itself, which is refused elsewhere, costs once."""
    total = 0
    for each in selected.selections if selected else ():
        if isinstance(each, FragmentSpreadNode):
            name = each.name.value
            if name in fragments and name not in within:
                total += cost(fragments[name].selection_set, fragments, within | {name})
        elif isinstance(each, FieldNode):
            name = each.name.value
            total += PRICES.get(name, 0) + MANY.get(name, 1) * cost(each.selection_set, fragments, within)
        else:
            total += cost(each.selection_set, fragments, within)  # type: ignore[attr-defined]
        if total > DEAREST * 1_000:
            return total
    return total


def extensions() -> list[Callable[[], SchemaExtension]]:
    """Return the limits as the schema takes them: made anew for each document."""
    return [
        lambda: QueryDepthLimiter(max_depth=DEEPEST),
        lambda: MaxTokensLimiter(max_token_count=MOST_TOKENS),
        lambda: MaxAliasesLimiter(max_alias_count=MOST_ALIASES),
        lambda: AddValidationRules([CostLimit]),
    ]
