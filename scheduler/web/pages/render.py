"""Pages made from templates: whose clinic, in which language, with which stylesheet."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Request, Response
from litestar.datastructures import Cookie, State

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import LANGUAGES, Clinic, Language
from scheduler.errors import UnsupportedMediaType
from scheduler.services.directory import Directory
from scheduler.store.connections import Pool
from scheduler.web.clients import browser_of
from scheduler.web.headers import name_request
from scheduler.web.pages import dates
from scheduler.web.pages.words import WORDS, speaker
from scheduler.web.static import versioned

PageRequest = Request[Any, Any, State]

LANGUAGE_COOKIE = "language"
_YEAR = 365 * 24 * 3600

_HERE = Path(__file__).parent.parent.parent


def _dial(phone: str) -> str:
    """Return the digits that a telephone dials."""
    return re.sub(r"[^\d+]", "", phone)


_templates = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["dial"] = _dial

# What every template may use.
_SHARED: dict[str, Any] = {"stylesheet": versioned("site.css"), "icon_file": versioned("icon.svg"), "dates": dates}


def render_template(name: str, **context: Any) -> str:
    """Return what a template makes of its context and of what every template may use."""
    return _templates.get_template(name).render(**_SHARED, **context)


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever looks at a page: at which clinic, and in which language. ``secure`` is whether cookies need HTTPS."""

    clinic: Clinic
    language: Language
    actor: Actor
    path: str
    query: tuple[tuple[str, str], ...]
    secure: bool

    def say(self, key: str, **values: object) -> str:
        return speaker(self.language)(key, **values)

    def other_language(self, here: str | None) -> dict[str, str] | None:
        """Return the language to switch to, and the address that shows this same page in it; None for a single one.

        ``here`` is the page's own address, where it is not the one that was asked for.
        """
        other = next((known for known in self.clinic.settings.languages if known != self.language), None)
        if other is None:
            return None
        address = here or self.path + "?" + urlencode([(name, value) for name, value in self.query if name != "lang"])
        joint = "" if address.endswith("?") else "&" if "?" in address else "?"
        return {
            "code": other,
            "name": WORDS["language"][LANGUAGES.index(other)],
            "url": f"{address}{joint}lang={other}",
        }


def provide_visitor(request: PageRequest) -> Visitor:
    """Tell the visitor by the host and by the language they chose: now, before, or in their browser."""
    directory = cast("Directory", request.app.state.directory)
    clinic = directory.for_host(request.headers.get("host", ""))
    query = tuple(parse_qsl(request.scope["query_string"].decode("latin-1")))
    return Visitor(
        clinic=clinic,
        language=_language(request, clinic, dict(query).get("lang")),
        actor=Actor(name="public", request_id=name_request(request.scope), browser=browser_of(request)),
        # Two slashes at its beginning would make a link of it lead to another host.
        path="/" + request.scope["path"].lstrip("/"),
        query=query,
        secure=request.app.state.settings.public_base_url.startswith("https:"),
    )


def provide_pool(state: State) -> Pool:
    """Return the pool: a page reads and writes in steps of its own, and looks again where a step was refused."""
    return state.pool


def _language(request: PageRequest, clinic: Clinic, chosen: str | None) -> Language:
    accepted = request.headers.get("accept-language", "").lower().split(",")
    wishes: list[str | None] = [chosen, request.cookies.get(LANGUAGE_COOKIE), *(wish.strip()[:2] for wish in accepted)]
    spoken: dict[str, Language] = {language: language for language in clinic.settings.languages}
    for wish in wishes:
        if wish in spoken:
            return spoken[wish]
    return clinic.settings.languages[0]


def page(
    visitor: Visitor,
    template: str,
    *,
    status: int = 200,
    here: str | None = None,
    cookies: Sequence[Cookie] = (),
    headers: dict[str, str] | None = None,
    **context: Any,
) -> Response[str]:
    """Return a page in the visitor's language, which is remembered if they have just chosen it.

    ``here`` is the address at which the page can be asked for again, where it answers a form.
    """
    chosen: list[Cookie] = []
    if "lang" in dict(visitor.query):
        chosen.append(make_cookie(visitor, LANGUAGE_COOKIE, visitor.language, path="/", seconds=_YEAR))
    name = visitor.clinic.settings.name
    brand, _, place = name.partition(", ")
    short = visitor.clinic.settings.short_name
    head = short if short and name.startswith(short) else brand
    text = render_template(
        template,
        clinic=visitor.clinic.settings,
        brand=brand,
        place=place,
        head=head,
        below=name.removeprefix(head).strip(" ,"),
        zone=dates.zone_name(visitor.clinic, visitor.language),
        language=visitor.language,
        other=visitor.other_language(here),
        say=visitor.say,
        **context,
    )
    return Response(text, status_code=status, media_type="text/html", cookies=[*cookies, *chosen], headers=headers)


def make_cookie(visitor: Visitor, name: str, value: str, *, path: str, seconds: int) -> Cookie:
    """Return a cookie that no script reads and no other site's form sends."""
    return Cookie(
        key=name, value=value, path=path, max_age=seconds, httponly=True, samesite="lax", secure=visitor.secure
    )


def see_other(url: str, cookies: Sequence[Cookie] = ()) -> Response[Any]:
    """Send the browser on, so that reloading the next page repeats nothing."""
    return Response(None, status_code=303, headers={"Location": url}, cookies=list(cookies))


async def read_form(request: PageRequest) -> dict[str, str]:
    """Return the fields of a form; of a repeated one the last counts. Raises UnsupportedMediaType."""
    if request.content_type[0] != "application/x-www-form-urlencoded":
        raise UnsupportedMediaType("Send the form as a browser does.")
    return dict(parse_qsl((await request.body()).decode("latin-1"), keep_blank_values=True))
