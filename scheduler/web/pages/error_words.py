"""What is said where a page cannot be shown, as in ``words``, of which it is a part."""

ERROR_WORDS: dict[str, tuple[str, str]] = {
    "not-found.h1": ("We can’t find that page", "No encontramos esa página"),
    "not-found": ("The link may be old or mistyped.", "El enlace puede ser antiguo o tener un error."),
    "hold-not-found.h1": ("We can’t show this booking here", "No podemos mostrar esta reserva aquí"),
    "hold-not-found": (
        (
            "It can only be seen on the device that made it, for two hours. If you saw “You’re booked”, your visit is "
            "booked. If not, please choose a time again. If you then see this page once more, your browser keeps no "
            "cookies, which we need to hold a time for you: allow them here, or call us."
        ),
        (
            "Solo se puede ver en el dispositivo donde se hizo, durante dos horas. Si vio “Su cita está reservada”, su "
            "cita está reservada. Si no, por favor elija un horario de nuevo. Si vuelve a ver esta página, su "
            "navegador no guarda cookies, que necesitamos para apartarle un horario: permítalas aquí o llámenos."
        ),
    ),
    "maintenance.h1": ("We’ll be back soon", "Volvemos pronto"),
    "maintenance": (
        "Online booking is closed for a short while. Visits that are booked stay booked. If it cannot wait, call us.",
        "La reserva en línea está cerrada por un rato. Las citas reservadas siguen en pie. Si es urgente, llámenos.",
    ),
    "too-busy.h1": ("We are busy for a moment", "Estamos ocupados por un momento"),
    "too-busy": (
        "Nothing was booked. Please try again in a few seconds.",
        "No se reservó nada. Por favor intente de nuevo en unos segundos.",
    ),
    "rate-limited.h1": ("Please wait a moment", "Por favor espere un momento"),
    "rate-limited": (
        "There were many requests from your connection. Please try again in a few minutes, or call us.",
        "Hubo muchas solicitudes desde su conexión. Por favor intente de nuevo en unos minutos o llámenos.",
    ),
    "call-instead.h1": ("Please call us to book", "Por favor llámenos para reservar"),
    "call-instead": (
        "No more visits can be booked online with this phone number for now. This one was not booked.",
        "Por ahora no se pueden reservar más citas en línea con este número de teléfono. Esta no se reservó.",
    ),
    "by-phone.h1": ("Please call us to book", "Por favor llámenos para reservar"),
    "by-phone": (
        "We could not book this visit online. Nothing was booked.",
        "No pudimos reservar esta cita en línea. No se reservó nada.",
    ),
    "wrong.h1": ("Something went wrong", "Algo salió mal"),
    "wrong": (
        "We could not do what was asked. Nothing was booked.",
        "No pudimos hacer lo que se pidió. No se reservó nada.",
    ),
    "failed.h1": ("Something went wrong on our side", "Hubo un problema de nuestro lado"),
    "failed": (
        "Nothing was booked. Please try again, or call us.",
        "No se reservó nada. Por favor intente de nuevo o llámenos.",
    ),
}
