"""What the framework says about the routes, made complete and true: what follows from a route's form is added here."""

from collections.abc import Iterator
from typing import Any

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from scheduler import errors
from scheduler.errors import SchedulerError
from scheduler.web.document_members import describe_members
from scheduler.web.document_words import (
    HEADERS,
    LINKED_BODIES,
    LINKS,
    NEEDED,
    PARAMETER_SCHEMAS,
    PARAMETERS,
    SCOPES,
    SCOPES_BY_OPERATION,
    WITHOUT_ADDRESS,
    WITHOUT_EXAMPLE,
)
from scheduler.web.problem_docs import Problem, ProblemSpec, every_error
from scheduler.web.samples import example_of, fits, problem_example, request_examples
from scheduler.web.schemas import plain, schemas_of

Document = dict[str, Any]

_PROBLEM = "application/problem+json"
_FIRST_PROBLEM = 400
_PLACES = ("path", "query", "header")
_MERE_DEFAULTS = {"deprecated": False, "allowEmptyValue": False, "allowReserved": False}


def complete(app: Litestar) -> Document:
    """Return the application's document with schemas, examples, problems, security, headers and links."""
    document: Document = app.openapi_schema.to_schema()
    handlers = dict(_handlers(app))
    schemas = schemas_of(handlers.values(), document["components"]["schemas"], [Problem])
    describe_members(schemas)
    code = schemas["Problem"]["properties"]["code"]
    code["enum"] = [error.code for error in every_error()]
    base_url = app.state.settings.public_base_url
    document["components"] |= {
        "schemas": schemas,
        "headers": {
            name: {"description": words, "required": always, "schema": {"type": "string"}, "example": value}
            for name, (words, value, always) in HEADERS.items()
        },
    }
    for operation in _operations(document):
        _complete(operation, handlers[operation["operationId"]], schemas)
    document["components"]["responses"] = _shared(document)
    told = set(document["components"]["responses"])
    told |= {code for operation in _operations(document) for code in _codes(operation)}
    document["components"]["examples"] = {
        error.code: problem_example(error, base_url) for error in every_error() if error.code in told
    }
    used = {tag for operation in _operations(document) for tag in operation["tags"]}
    document["tags"] = [tag for tag in document["tags"] if tag["name"] in used]
    for operation in _operations(document):
        _link(operation, handlers)
    return document


def _operations(document: Document) -> Iterator[Document]:
    return (operation for methods in document["paths"].values() for operation in methods.values())


def _shared(document: Document) -> Document:
    """Put a reference in the place of every answer with one problem alone; return those answers by its code."""
    shared: Document = {}
    for operation in _operations(document):
        for status, answer in operation["responses"].items():
            codes = list(answer.get("content", {}).get(_PROBLEM, {}).get("examples", ()))
            if len(codes) == 1:
                shared[codes[0]] = answer
                operation["responses"][status] = {"$ref": f"#/components/responses/{codes[0]}"}
    return dict(sorted(shared.items()))


def _codes(operation: Document) -> Iterator[str]:
    for answer in operation["responses"].values():
        yield from answer.get("content", {}).get(_PROBLEM, {}).get("examples", ())


def _handlers(app: Litestar) -> Iterator[tuple[str, HTTPRouteHandler]]:
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler, _ in route.route_handler_map.values():
                if handler.resolve_include_in_schema():
                    yield str(handler.operation_id), handler


def _complete(operation: Document, handler: HTTPRouteHandler, schemas: Document) -> None:
    operation.pop("deprecated", None)
    for parameter in operation.get("parameters", ()):
        _describe(parameter)
    if "parameters" in operation:
        operation["parameters"] = sorted(operation["parameters"], key=_place)
    for media_type, media in operation.get("requestBody", {}).get("content", {}).items():
        if media_type == "application/json":
            media["examples"] = request_examples(media["schema"], schemas)
    problems = _problems(operation, handler)
    _tell_who_may_call(operation, handler, problems)
    answers: Document = {}
    for status, answer in operation["responses"].items():
        if int(status) < _FIRST_PROBLEM or int(status) not in problems:
            answers[status] = _answer(int(status), answer, operation, schemas)
    for status, found in problems.items():
        answers[str(status)] = _problem_answer(status, found)
    operation["responses"] = dict(sorted(answers.items()))


def _place(parameter: Document) -> int:
    return _PLACES.index(parameter["in"])


def _describe(parameter: Document) -> None:
    name = parameter["name"]
    words, value = PARAMETERS.get(name, ("", None))
    parameter.setdefault("description", words)
    parameter["schema"] = PARAMETER_SCHEMAS.get(name) or plain(parameter["schema"])
    parameter["required"] = parameter.get("required", False) or name in NEEDED
    if "example" not in parameter and "examples" not in parameter and name not in WITHOUT_EXAMPLE:
        fitting = value is not None and fits(value, parameter["schema"])
        parameter["example"] = value if fitting else example_of(parameter["schema"], {}, name)
    for key, default in _MERE_DEFAULTS.items():
        if parameter.get(key) is default:
            del parameter[key]


def _problems(operation: Document, handler: HTTPRouteHandler) -> dict[int, list[type[SchedulerError]]]:
    """Return the problems that an operation declares, and those that follow from its form."""
    declared = [
        problem
        for spec in (handler.responses or {}).values()
        if isinstance(spec, ProblemSpec)
        for problem in spec.problems
    ]
    parameters = {parameter["name"]: parameter["in"] for parameter in operation.get("parameters", ())}
    body = operation.get("requestBody", {}).get("content", {})
    implied: list[type[SchedulerError]] = [errors.MalformedRequest, SchedulerError]
    if "path" in parameters.values():
        implied.append(errors.NotFound)
    # What needs no body is sent one all the same, and refuses it as what needs one refuses another.
    changes = bool(body) or not handler.http_methods <= {"GET", "HEAD"}
    if changes:
        implied += [errors.BodyTooSlow, errors.BodyTooLarge, errors.UnsupportedMediaType]
    if changes or {"query", "header"} & set(parameters.values()):
        implied.append(errors.InvalidRequest)
    if "Idempotency-Key" in parameters:
        implied += [errors.IdempotencyInFlight, errors.IdempotencyKeyReused]
    by_status: dict[int, list[type[SchedulerError]]] = {}
    for problem in [*declared, *implied]:
        found = by_status.setdefault(problem.status, [])
        if problem not in found:
            found.append(problem)
    return by_status


def _problem_answer(status: int, problems: list[type[SchedulerError]]) -> Document:
    headers = ["X-Request-Id"]
    headers += ["WWW-Authenticate"] if status == errors.Unauthorized.status else []
    headers += ["Retry-After"] if status in (errors.RateLimited.status, errors.TooBusy.status) else []
    headers += ["ETag"] if problems in ([errors.VersionMismatch], [errors.VersionRequired]) else []
    codes = {"properties": {"code": {"enum": [problem.code for problem in problems]}}}
    return {
        "description": "; ".join(problem.title for problem in problems),
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {
            _PROBLEM: {
                "schema": {"allOf": [{"$ref": "#/components/schemas/Problem"}, codes]},
                "examples": {problem.code: {"$ref": f"#/components/examples/{problem.code}"} for problem in problems},
            }
        },
    }


def _answer(status: int, answer: Document, operation: Document, schemas: Document) -> Document:
    headers = ["X-Request-Id"]
    if status == 201 and operation["operationId"] not in WITHOUT_ADDRESS:  # noqa: PLR2004 - made
        headers.append("Location")
    if any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", ())):
        headers.append("Idempotent-Replayed")
    content: Document = answer.get("content") or {}
    for media in content.values():
        name = schema_name(media["schema"])
        if name == "VisitAnswer":
            headers.append("ETag")
        if words := schemas.get(name, {}).get("description", ""):
            answer["description"] = words.partition("\n")[0]
        if "example" not in media and "examples" not in media:
            media["example"] = example_of(media["schema"], schemas, operation["operationId"])
    answer["headers"] = {
        **(answer.get("headers") or {}),
        **{name: {"$ref": f"#/components/headers/{name}"} for name in headers},
    }
    return answer


def schema_name(schema: Document) -> str:
    """Return the name of the component that a schema refers to, or nothing."""
    return schema.get("$ref", "").rpartition("/")[2]


def _tell_who_may_call(
    operation: Document, handler: HTTPRouteHandler, problems: dict[int, list[type[SchedulerError]]]
) -> None:
    """Say who may call: as declared, or a key alone where a key may lack a scope, or anybody.

    The scopes, of which one will do, are in words and in ``x-scopes``: OpenAPI has room for scopes of OAuth only.
    """
    by_key = errors.Forbidden.status in problems
    if declared := handler.resolve_security():
        operation["security"] = declared
    elif errors.Unauthorized.status not in problems:
        operation["security"] = [{}]
    else:
        operation["security"] = [{"key": []}] if by_key else [{}, {"key": []}]
    if by_key:
        changes = handler.http_methods != {"GET"}
        usual = (SCOPES[operation["tags"][0]][changes],)
        scopes = operation["x-scopes"] = list(SCOPES_BY_OPERATION.get(operation["operationId"], usual))
        who = "A key needs" if {} in operation["security"] else "Needs a key with"
        words = f"{who} the scope {' or '.join(f'`{scope}`' for scope in scopes)}."
        operation["description"] = f"{operation.get('description', '')}\n\n{words}".strip()


def _link(operation: Document, known: dict[str, HTTPRouteHandler]) -> None:
    """Say what can be done next with what a success answers."""
    own = operation["operationId"]
    for status, answer in operation["responses"].items():
        if int(status) >= _FIRST_PROBLEM:
            continue
        name = next((schema_name(media["schema"]) for media in answer.get("content", {}).values()), "")
        links: Document = {}
        for next_id, parameters in (LINKS.get(own, {}) | LINKS.get(name, {})).items():
            links[next_id] = {"operationId": next_id, "parameters": parameters}
        for next_id, body in LINKED_BODIES.get(own, {}).items():
            links[next_id] = {"operationId": next_id, "requestBody": body}
        answer["links"] = {next_id: link for next_id, link in links.items() if next_id in known}
        if not answer["links"]:
            del answer["links"]
