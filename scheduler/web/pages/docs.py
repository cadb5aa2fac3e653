"""The documentation of the API: one page made from the application's own OpenAPI document, and one for each error."""

import json
from datetime import datetime, timedelta
from typing import cast
from weakref import WeakKeyDictionary

import msgspec
from litestar import Litestar, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from scheduler.errors import NotFound
from scheduler.settings import Settings
from scheduler.web.callers import FromNow
from scheduler.web.openapi import document_of
from scheduler.web.pages.advice import ADVICE
from scheduler.web.pages.openapi import Reference, read_document
from scheduler.web.pages.render import PageRequest, Visitor, page
from scheduler.web.problem_docs import every_error
from scheduler.web.samples import problem_example

FromVisitor = NamedDependency[Visitor]

_ONE_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)
_references: WeakKeyDictionary[Litestar, Reference] = WeakKeyDictionary()


@get("/docs")
async def show_documentation(request: PageRequest, visitor: FromVisitor, now: FromNow) -> Response[str]:
    """Show every operation, with commands to paste that work against this very server."""
    settings = cast("Settings", request.app.state.settings)
    return page(
        in_english(visitor),
        "docs.html",
        reference=_reference(request),
        errors=every_error(),
        base_url=settings.public_base_url,
        variables=_variables(visitor, now),
    )


@get("/problems/{code:str}")
async def show_problem(request: PageRequest, visitor: FromVisitor, code: FromPath[str]) -> Response[str]:
    """Show what one error means and what to do about it: the address that problems give as their type."""
    error = next((error for error in every_error() if error.code == code), None)
    if error is None:
        raise NotFound
    meaning, advice = ADVICE[code]
    example = problem_example(error, request.app.state.settings.public_base_url)["value"]
    return page(
        in_english(visitor), "problem.html", error=error, meaning=meaning, advice=advice,
        example=json.dumps(example, indent=2),
    )  # fmt: skip


def in_english(visitor: Visitor) -> Visitor:
    """Return the visitor as one who reads English: what is for programmers and operators is in that alone."""
    return msgspec.structs.replace(visitor, language="en", query=())


def _reference(request: PageRequest) -> Reference:
    # The document does not change while the process lives, and takes a while to read.
    if request.app not in _references:
        _references[request.app] = read_document(document_of(request.app))
    return _references[request.app]


def _variables(visitor: Visitor, now: datetime) -> dict[str, str]:
    """Return values for the commands' variables that give something to see today."""
    tomorrow = visitor.clinic.local(now).date() + _ONE_DAY
    visit_type = next(one.code for one in visitor.clinic.visit_types.values() if one.online)
    return {"VISIT_TYPE": visit_type, "FROM": tomorrow.isoformat(), "TO": (tomorrow + _WEEK).isoformat()}


DOCUMENTATION = [show_documentation, show_problem]
