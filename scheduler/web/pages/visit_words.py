"""Every word of the pages behind a private link, as in ``words``, of which they are a part."""

VISIT_WORDS: dict[str, tuple[str, str]] = {
    # A visit by its private link
    "visit.h1": ("Your visit", "Su cita"),
    "visit.card": ("Visit details", "Detalles de la cita"),
    "visit.booked": ("Not confirmed yet", "Sin confirmar"),
    "visit.confirmed": ("Confirmed", "Confirmada"),
    "visit.arrived": ("You are checked in", "Registramos su llegada"),
    "visit.begun": ("It is time for your visit", "Es la hora de su cita"),
    "visit.over": ("This visit is over", "Esta cita ya pasó"),
    "visit.missed": ("We missed you", "No nos vimos"),
    "visit.cancelled": ("Canceled", "Cancelada"),
    "visit.thanks": ("Thank you for coming.", "Gracias por venir."),
    "visit.missed.then": (
        "You can book another visit, or call us and we’ll find a time together.",
        "Puede reservar otra cita, o llámenos y buscamos juntos un horario.",
    ),
    "visit.begun.then": ("Running late? Please call us.", "¿Se le hizo tarde? Por favor llámenos."),
    "visit.cancelled.then": (
        "Nobody expects you at this time. You can book another visit whenever you like.",
        "Nadie le espera a esta hora. Puede reservar otra cita cuando quiera.",
    ),
    "visit.yes": ("Yes, I’ll be there", "Sí, asistiré"),
    "visit.move": ("Reschedule", "Cambiar la cita"),
    "visit.cancel": ("Cancel visit", "Cancelar la cita"),
    "visit.call": ("Call to change", "Llamar para cambiar"),
    "visit.call.move": ("Call to reschedule", "Llamar para cambiar la cita"),
    "visit.undo": ("Undo: keep this visit", "Deshacer: conservar esta cita"),
    "visit.undo.until": (
        "You can take the cancellation back until {time}, while the time is still free.",
        "Puede deshacer la cancelación hasta {time}, mientras el horario siga libre.",
    ),
    "visit.calendar": ("Calendar", "Calendario"),
    "visit.directions": ("Directions", "Cómo llegar"),
    "visit.bring": ("What to bring", "Qué traer"),
    "visit.late": ("Your visit is less than {hours} hours away.", "Faltan menos de {hours} horas para su cita."),
    "visit.late.one": ("Your visit is less than an hour away.", "Falta menos de una hora para su cita."),
    "visit.late.call": (
        "To change or cancel it, please call us at",
        "Para cambiarla o cancelarla, llámenos al",
    ),
    "visit.grace": (
        "You have just booked this visit, so you can still change or cancel it here until {time}.",
        "Acaba de reservar esta cita, así que aún puede cambiarla o cancelarla aquí hasta {time}.",
    ),
    "visit.was": ("Your time has changed.", "Su horario cambió."),
    "visit.was.then": (
        "It was {was}. Tell us if the new time works for you, or choose another.",
        "Era el {was}. Díganos si puede venir en el nuevo horario, o elija otro.",
    ),
    "visit.was.late": (
        "It was {was}. If the new time does not work for you, please call us.",
        "Era el {was}. Si no puede venir en el nuevo horario, por favor llámenos.",
    ),
    "visit.closed": ("We are closed at this time.", "Estaremos cerrados a esa hora."),
    "visit.closed.then": (
        "Please choose another time, or call us at",
        "Por favor elija otro horario, o llámenos al",
    ),
    "visit.closed.call": ("Please call us for another time:", "Por favor llámenos para otro horario:"),
    "visit.others": ("Your other visits", "Sus otras citas"),
    "visit.messages": ("Language and messages", "Idioma y mensajes"),
    "visit.language": ("Language for this page and our messages", "Idioma de esta página y de nuestros mensajes"),
    "visit.texts.on": (
        "Texts about your visits are on for the number ending in {ending}.",
        "Los mensajes sobre sus citas están activados para el número que termina en {ending}.",
    ),
    "visit.texts.off": ("Texts about your visits are off.", "Los mensajes sobre sus citas están desactivados."),
    "visit.texts.stop": ("Stop texts", "Desactivar los mensajes"),
    "visit.texts.start": ("Turn texts on", "Activar los mensajes"),
    "visit.private": (
        "This link is private to you and works until the day after your visit. Please don’t forward it.",
        "Este enlace es solo para usted y funciona hasta el día después de su cita. Por favor no lo reenvíe.",
    ),
    "visit.again": ("Book again", "Reservar de nuevo"),
    "visit.follow": ("Book a follow-up", "Reservar otra visita"),
    # What was just done there, or why not
    "visit.did.confirmed": ("You’re confirmed for {when}.", "Confirmó su cita: {when}."),
    "visit.did.moved": ("Your visit is now {when}.", "Su cita ahora es el {when}."),
    "visit.did.cancelled": ("Your visit is canceled.", "Su cita quedó cancelada."),
    "visit.did.kept": ("Your visit is back: {when}.", "Recuperó su cita: {when}."),
    "visit.did.saved": ("Your choice is saved.", "Guardamos su elección."),
    "visit.not.changed": (
        "This visit has changed since you opened the page, so we did nothing. This is how it stands now.",
        "Esta cita cambió desde que abrió la página, así que no hicimos nada. Así está ahora.",
    ),
    "visit.not.late": (
        "It is too late to do this online. Your visit has not changed.",
        "Ya es tarde para hacer esto en línea. Su cita no ha cambiado.",
    ),
    "visit.not.gone": (
        "That time went to someone else. Your visit is still canceled.",
        "Ese horario ya fue tomado. Su cita sigue cancelada.",
    ),
    "visit.not.again": (
        "We could not be sure that this came from you, so we did nothing. Please try again.",
        "No pudimos comprobar que esto viniera de usted, así que no hicimos nada. Por favor intente de nuevo.",
    ),
    # Moving and canceling it
    "move.h1": ("Choose a new time", "Elija un nuevo horario"),
    "move.lead": (
        "Your visit stays on {when} until you choose another time.",
        "Su cita sigue siendo el {when} hasta que elija otro horario.",
    ),
    "move.keep": ("Keep my visit", "Conservar mi cita"),
    "move.kept": (
        "Your visit has not changed. The closest open times are below.",
        "Su cita no ha cambiado. Abajo están los horarios más cercanos.",
    ),
    "cancel.h1": ("Cancel this visit?", "¿Cancelar esta cita?"),
    "cancel.why": ("Would you like to tell us why?", "¿Quiere decirnos por qué?"),
    "cancel.why.time": ("The time does not work for me any more", "El horario ya no me sirve"),
    "cancel.why.travel": ("I can’t get there", "No puedo llegar"),
    "cancel.why.need": ("I don’t need this visit any more", "Ya no necesito esta cita"),
    "cancel.why.other": ("Something else", "Otro motivo"),
    "cancel.move": ("Choose another time instead", "Mejor elegir otro horario"),
    "cancel.do": ("Cancel this visit", "Cancelar esta cita"),
    # When its page cannot be shown
    "link-expired.h1": ("This link no longer works", "Este enlace ya no funciona"),
    "link-expired": (
        "Private links work until the day after the visit. Call us, or we can text a new link to the number we have.",
        (
            "Los enlaces privados funcionan hasta el día después de la cita. Llámenos, o podemos enviar un enlace "
            "nuevo al número que tenemos."
        ),
    ),
    "link.text": ("Text me a new link", "Envíenme un enlace nuevo"),
    "link.texted": (
        "If you have a visit coming up, a text with its link is on its way to the number we have.",
        "Si tiene una cita próxima, va en camino un mensaje con su enlace al número que tenemos.",
    ),
    "visit-busy.h1": ("We are busy for a moment", "Estamos ocupados por un momento"),
    "visit-busy": (
        "Your visit has not changed. Please try again in a few seconds.",
        "Su cita no ha cambiado. Por favor intente de nuevo en unos segundos.",
    ),
    "visit-failed.h1": ("Something went wrong", "Algo salió mal"),
    "visit-failed": (
        "We don’t think your visit has changed. Please look at it again, or call us.",
        "Creemos que su cita no ha cambiado. Por favor véala de nuevo o llámenos.",
    ),
}
