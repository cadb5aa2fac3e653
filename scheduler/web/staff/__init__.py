"""The pages of the clinic's staff, below ``/staff``: English, server-rendered, and of use without any script.

How to add a page:

    from scheduler.web.staff.session import FromStaff, roles
    from scheduler.web.staff.render import staff_page

    @get("/ops", guards=[roles("desk", "admin")])
    async def show_messages(staff: FromStaff, pool: NamedDependency[Pool], now: FromNow) -> Response[str]:
        return staff_page(staff, "staff/ops.html", title="Messages", now=now, ...)

    @post("/ops/{task_id:uuid}/called", status_code=200, guards=[roles("desk", "admin")])
    async def mark_called(request: PageRequest, staff: FromStaff, pool: NamedDependency[Pool], ...) -> Response[Any]:
        form = await read_form(request)
        async with unit_of_work(pool) as connection:
            await services.mark_called(connection, staff.clinic, task_id, actor=staff.actor)
        return see_other("/staff/ops")

and put the handlers into ``STAFF`` in ``web/staff/routes.py``, whose paths begin with ``/staff``. Then:

- Whoever is not signed in never reaches a handler: a page leads to the sign-in and from there back to the address that
  was asked for; a fragment (header ``HX-Request``) and a stream (``Accept: text/event-stream``) get 401.
- A POST reaches its handler only with this session's own token: ``{{ fields(staff) }}`` from ``staff/parts.html`` in
  the form, or the header ``X-CSRF-Token`` (``hx-headers='{{ {"X-CSRF-Token": staff.csrf_token} | tojson }}'``).
- A service that changes something gets ``actor=staff.actor`` and writes its audit row in the same transaction. Rows
  name the account, ``staff:<id>``; ``services.staff_names.name_actors`` returns "A.M." for those, for histories.
- What the browser asks for by itself (a refetch after an event) carries the header ``X-Automatic: true``, so that a
  board which nobody looks at still signs itself out. A stream looks at ``session.still_lives`` now and then.
- Templates extend ``staff/layout.html`` and fill the blocks ``main`` and, where they need them, ``bar`` (beside the
  heading in the top bar), ``head`` (stylesheets and scripts) and ``width``. ``staff.hide_names`` says whether names are
  to be initials; ``shown_name`` in ``render`` does it. No name or phone in an address or a title: a search is a POST.
- Errors raised by services become a page with the top bar, or a fragment where htmx asks (``web/staff/errors.py``).
"""
