"""GraphQL: the catalogue and the questions of `/kpis` for clients that choose their fields."""

from collections.abc import Sequence
from uuid import UUID

import structlog
from graphql import GraphQLError
from strawberry.schema.exceptions import CannotGetOperationTypeError

from api.deps import Context, CurrentActor, Now, Router, permission
from api.graph import schema
from api.problems import Problem
from api.schemas.graphql import GraphAnswer, GraphError, GraphRequest
from crm import errors, vault

router = Router("/graphql")
log = structlog.get_logger("api.graphql")


@router.post("", response_model_exclude_unset=True)
@permission("kpi.view", "kpi.view.team")
async def run_graphql(body: GraphRequest, actor: CurrentActor, now: Now, context: Context) -> GraphAnswer:
    """Run a GraphQL document; what is refused stands in `errors`, each in the shape of every other refusal."""
    try:
        result = await schema.schema().execute(
            body.query,
            variable_values=body.variables,
            context_value=schema.Context(actor, now),
            operation_name=body.operation_name,
        )
    except CannotGetOperationTypeError:
        nothing = GraphQLError("there is nothing to run: no operation, or none of the name that was given")
        return GraphAnswer(data=None, errors=_problems([nothing], context.trace_id))
    if not result.errors:
        return GraphAnswer(data=result.data)
    return GraphAnswer(data=result.data, errors=_problems(result.errors, context.trace_id))


def _problems(found: Sequence[GraphQLError], trace_id: UUID) -> list[GraphError]:
    return [
        GraphError(
            message=problem.message,
            path=each.path,  # type: ignore[arg-type]
            locations=[{"line": one.line, "column": one.column} for one in each.locations or []],  # type: ignore[misc]
            extensions=problem,
        )
        for each in found
        for problem in [_problem(each, trace_id)]
    ]


def _problem(error: GraphQLError, trace_id: UUID) -> Problem:
    cause = error.original_error
    if isinstance(cause, errors.CrmError):
        return Problem(
            code=cause.code, message=str(cause), trace_id=trace_id.hex, field_errors=cause.fields,
            retryable=cause.retryable,
        )  # fmt: skip
    if cause is None or isinstance(cause, GraphQLError):
        # The document or its variables: the words are GraphQL's own, and may repeat what was sent.
        return Problem(
            code="graphql.invalid", message=vault.scrub(error.message), trace_id=trace_id.hex, field_errors={}
        )
    log.error("unexpected", trace_id=trace_id.hex, exc_info=cause)
    return Problem(
        code="unexpected", message="Something went wrong here; tell us the trace id.", trace_id=trace_id.hex,
        field_errors={},
    )  # fmt: skip
