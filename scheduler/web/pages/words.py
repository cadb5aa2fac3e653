"""Every word of the patients' pages, in both languages side by side, so that neither can lack one.

Names in braces are filled in. Spanish says *usted*. What the clinic decides (names of visits, what to bring) is in
the clinic's file instead.
"""

from collections.abc import Callable

from scheduler.domain.clinics import LANGUAGES, Language
from scheduler.web.pages.error_words import ERROR_WORDS
from scheduler.web.pages.notice_words import NOTICE_WORDS
from scheduler.web.pages.visit_words import VISIT_WORDS

Say = Callable[..., str]

WORDS: dict[str, tuple[str, str]] = {
    # Every page
    "language": ("English", "Español"),
    "skip": ("Skip to main content", "Ir al contenido"),
    "call": ("Call {phone}", "Llamar al {phone}"),
    "talk": ("Prefer to talk to a person?", "¿Prefiere hablar con una persona?"),
    "911": ("If this is a medical emergency, call 911.", "Si es una emergencia médica, llame al 911."),
    "privacy": ("Privacy", "Privacidad"),
    "terms": ("Text message terms", "Términos de los mensajes"),
    "back": ("Back", "Atrás"),
    "change": ("Change", "Cambiar"),
    "step": ("Step {number} of 3", "Paso {number} de 3"),
    "minutes": ("{count} minutes", "{count} minutos"),
    "tz": ("{zone}, at our {place} clinic", "{zone}, en nuestra clínica de {place}"),
    "tz.here": ("{zone}, at our clinic", "{zone}, en nuestra clínica"),
    # 1. What
    "book.h1": ("Book a visit", "Reserve una cita"),
    "book.lead": ("About a minute. No account, no password.", "Toma un minuto. Sin cuenta ni contraseña."),
    "book.types": ("Visit type", "Tipo de visita"),
    "next": ("Next opening {day}", "Próximo horario: {day}"),
    "next.none": ("No openings online right now", "Por ahora no hay horarios en línea"),
    "type.call": ("Not sure? We’ll call you", "¿No está seguro? Le llamamos"),
    "type.call.about": (
        "Leave a number. A person from our front desk calls back.",
        "Deje un número. Una persona de nuestra recepción le llamará.",
    ),
    "have": (
        "Already have a visit? Use its private link, or call us, to change or cancel it.",
        "¿Ya tiene una cita? Use su enlace privado, o llámenos, para cambiarla o cancelarla.",
    ),
    # 2. When and with whom
    "time.h1": ("Pick a time", "Elija un horario"),
    "time.skip": ("Skip to times", "Ir a los horarios"),
    "change.type": ("visit type", "tipo de visita"),
    "who": ("With", "Con"),
    "who.next": ("next opening", "próximo horario libre"),
    "who.any": ("First available", "Primero disponible"),
    "who.never": ("No openings", "Sin horarios"),
    "who.none": (
        "{name} has no openings in the next {days} days.",
        "{name} no tiene horarios libres en los próximos {days} días.",
    ),
    "who.more": ("See the first available times", "Ver los primeros horarios disponibles"),
    "day": ("Day", "Día"),
    "open": ("{count} open", "{count} libres"),
    "open.one": ("1 open", "1 libre"),
    "full": ("Full", "Lleno"),
    "more": ("More days", "Más días"),
    "earlier": ("Earlier days", "Días anteriores"),
    "morning": ("Morning", "Mañana"),
    "afternoon": ("Afternoon", "Tarde"),
    "evening": ("Evening", "Noche"),
    "therapists": ("{count} therapists", "{count} terapeutas"),
    "day.full": (
        "No times are left on this day. Please choose another.",
        "No quedan horarios este día. Por favor elija otro.",
    ),
    "none": ("None of these work?", "¿Ningún horario le sirve?"),
    "none.call": ("Call us and we’ll find a time together.", "Llámenos y buscamos juntos un horario."),
    "none.call.me": ("Ask us to call you", "Pida que le llamemos"),
    "none.at.all": (
        "There are no openings online in the next {days} days. Please call us.",
        "No hay horarios en línea en los próximos {days} días. Por favor llámenos.",
    ),
    "taken": ("Someone just took {time}.", "Alguien acaba de tomar {time}."),
    "taken.with": ("Someone just took {time} with {name}.", "Alguien acaba de tomar {time} con {name}."),
    "taken.then": (
        "Nothing was booked. The closest open times are below.",
        "No se reservó nada. Abajo están los horarios más cercanos.",
    ),
    "taken.slot": ("Just taken", "Recién tomado"),
    "toosoon": (
        "That time is too soon to book online. Please call us.",
        "Ese horario está muy cerca para reservar en línea. Por favor llámenos.",
    ),
    "refused": ("That time cannot be booked online.", "Ese horario no se puede reservar en línea."),
    "kept": (
        "What you typed is kept. Choose a time and it will be there.",
        "Lo que escribió está guardado. Elija un horario y ahí estará.",
    ),
    "holding": ("You are holding {when}.", "Tiene apartado el {when}."),
    "holding.go": ("Continue with this time", "Continuar con este horario"),
    # 3. Details
    "details.h1": ("Your details", "Sus datos"),
    "details.error": ("Error: Your details", "Error: Sus datos"),
    "with": ("{minutes} with {name}", "{minutes} con {name}"),
    "change.time": ("time", "horario"),
    "hold": ("We’re holding this time for you until {time}.", "Guardamos este horario para usted hasta {time}."),
    "hold.more": ("Need longer?", "¿Necesita más tiempo?"),
    "hold.over": (
        "We held this time for you as long as we could. If it is still free, it is yours when you book.",
        "Guardamos este horario lo más que pudimos. Si sigue libre, será suyo al reservar.",
    ),
    "given_name": ("First name", "Nombre"),
    "family_name": ("Last name", "Apellido"),
    "phone": ("Mobile phone", "Teléfono celular"),
    "phone.hint": ("So we can reach you about this visit", "Para comunicarnos sobre esta cita"),
    "email": ("Email", "Correo electrónico"),
    "optional": ("(optional)", "(opcional)"),
    "also": ("Leave this field empty", "Deje este campo vacío"),
    "sms.label": ("Text me about my visits", "Envíenme mensajes sobre mis citas"),
    "sms.text": (
        (
            "{clinic} will text confirmations and reminders, about 3 messages per visit. Msg & data rates may apply. "
            "Reply STOP to opt out, HELP for help. You can book without this."
        ),
        (
            "{clinic} le enviará confirmaciones y recordatorios, unos 3 mensajes por cita. Pueden aplicarse tarifas de "
            "mensajes y datos. Responda STOP para cancelar, HELP para ayuda. Puede reservar sin esto."
        ),
    ),
    "book": ("Book this visit", "Reservar esta cita"),
    "phone.code": (
        "So we can reach you about this visit. We’ll text it a code to finish the booking.",
        "Para comunicarnos sobre esta cita. Le enviaremos un código para terminar la reserva.",
    ),
    "no.medical": (
        "Please don’t enter medical details here. You’ll share those with your therapist in person.",
        "Por favor no escriba información médica aquí. La hablará en persona con su terapeuta.",
    ),
    "error.h": ("There is a problem", "Hay un problema"),
    "error.mark": ("Error:", "Error:"),
    "given_name.name-missing": ("Enter your first name", "Escriba su nombre"),
    "given_name.name-too-long": (
        "Enter a first name of at most 100 letters",
        "Escriba un nombre de 100 letras como máximo",
    ),
    "given_name.name-invalid": (
        "Enter your first name in letters, spaces, hyphens and apostrophes",
        "Escriba su nombre con letras, espacios, guiones y apóstrofos",
    ),
    "family_name.name-missing": ("Enter your last name", "Escriba su apellido"),
    "family_name.name-too-long": (
        "Enter a last name of at most 100 letters",
        "Escriba un apellido de 100 letras como máximo",
    ),
    "family_name.name-invalid": (
        "Enter your last name in letters, spaces, hyphens and apostrophes",
        "Escriba su apellido con letras, espacios, guiones y apóstrofos",
    ),
    "phone.phone-invalid": (
        "Enter a 10-digit mobile number, like 201\u00a0555\u00a00142",
        "Escriba un celular de 10 dígitos, por ejemplo 201\u00a0555\u00a00142",
    ),
    "email.email-invalid": (
        "Enter an email address, like name@example.com, or leave it empty",
        "Escriba un correo electrónico, por ejemplo nombre@example.com, o déjelo vacío",
    ),
    # The code that proves a phone
    "code.h1": ("Check your phone", "Revise su teléfono"),
    "code.lead": (
        "We texted a code to the number ending in {ending}. Type it in and your visit is booked.",
        "Enviamos un código al número que termina en {ending}. Escríbalo y su cita queda reservada.",
    ),
    "code": ("Code", "Código"),
    "code.hint": ("6 digits, good for 10 minutes", "6 dígitos, válidos por 10 minutos"),
    "code.missing": ("Enter the 6 digits that we texted", "Escriba los 6 dígitos que le enviamos"),
    "code.wrong": (
        "That is not the code we texted. You have {count} more tries.",
        "Ese no es el código que enviamos. Le quedan {count} intentos.",
    ),
    "code.wrong.one": (
        "That is not the code we texted. You have 1 more try.",
        "Ese no es el código que enviamos. Le queda 1 intento.",
    ),
    "code.spent": (
        "That was not the code either. Please have a new one sent.",
        "Ese tampoco era el código. Por favor pida uno nuevo.",
    ),
    "code.expired": (
        "That code has expired. Please have a new one sent.",
        "Ese código ya no es válido. Por favor pida uno nuevo.",
    ),
    "code.new": ("We texted a new code. Only this one works now.", "Enviamos un código nuevo. Solo este sirve ahora."),
    "code.soon": (
        "We texted a code a moment ago. It can take a minute.",
        "Enviamos un código hace un momento. Puede tardar un minuto.",
    ),
    "code.never": (
        "We cannot text another code for this time. Please call us to book it.",
        "No podemos enviar otro código para este horario. Por favor llámenos para reservarlo.",
    ),
    "code.again": ("Send a new code", "Enviar otro código"),
    "code.number": ("Change the number", "Cambiar el número"),
    "code.none": (
        "No text? Call us at {phone} and we’ll book it together.",
        "¿No le llegó? Llámenos al {phone} y reservamos juntos.",
    ),
    # Done
    "done.h1": ("You’re booked", "Su cita está reservada"),
    "done.sms": (
        "We’ll text the details to the number ending in {ending}.",
        "Le enviaremos los detalles al número que termina en {ending}.",
    ),
    "done.email": (
        "We’ll email the details to the address we have for you.",
        "Le enviaremos los detalles al correo electrónico que tenemos.",
    ),
    "done.quiet": (
        "Save this page or add it to your calendar; texts are off.",
        "Guarde esta página o agréguela a su calendario; los mensajes están desactivados.",
    ),
    "cancelled.h1": ("This visit was canceled", "Esta cita fue cancelada"),
    "fact.when": ("Date and time", "Fecha y hora"),
    "fact.who": ("Therapist", "Terapeuta"),
    "fact.place": ("Place", "Lugar"),
    "fact.length": ("{minutes}, {zone}", "{minutes}, {zone}"),
    "calendar": ("Add to calendar", "Agregar al calendario"),
    "another": ("Book another visit", "Reservar otra cita"),
    "then.h": ("What happens next", "Qué sigue"),
    "then.sms": ("We’ll text you a reminder on {day}.", "Le enviaremos un mensaje de recordatorio el {day}."),
    "then.email": ("We’ll email you a reminder on {day}.", "Le enviaremos un correo de recordatorio el {day}."),
    "then.both": (
        "We’ll text and email you a reminder on {day}.",
        "Le enviaremos un mensaje y un correo de recordatorio el {day}.",
    ),
    "sms.off": (
        "Texts are off. Text START to turn them on.",
        "Los mensajes están desactivados. Envíe START para activarlos.",
    ),
    "then.link.do": ("See or change your visit", "Ver o cambiar su cita"),
    "then.link": (
        "Save your private link to confirm, change or cancel this visit. Please don’t forward it:",
        "Guarde su enlace privado para confirmar, cambiar o cancelar esta cita. Por favor no lo reenvíe:",
    ),
    "then.change": (
        "To change or cancel your visit, call us at {phone}.",
        "Para cambiar o cancelar su cita, llámenos al {phone}.",
    ),
    # Reminders by email, from the link in each
    "reminders.on.h1": ("Email reminders are on", "Los recordatorios por correo están activados"),
    "reminders.on": (
        "We email you a reminder before each visit.",
        "Le enviamos un recordatorio por correo antes de cada cita.",
    ),
    "reminders.stop": ("Turn off email reminders", "Desactivar los recordatorios por correo"),
    "reminders.off.h1": ("Email reminders are off", "Los recordatorios por correo están desactivados"),
    "reminders.off": (
        "We will not email you reminders of your visits. Your visits stay booked.",
        "No le enviaremos recordatorios por correo. Sus citas siguen reservadas.",
    ),
    "reminders.start": ("Turn them on again", "Activarlos de nuevo"),
    "reminders.still": (
        "Emails about a visit that was booked, moved or canceled come either way.",
        "Los correos sobre una cita reservada, cambiada o cancelada le llegan de todos modos.",
    ),
    "reminders.wrong": (
        "If this does not work for you, call us at {phone}.",
        "Si esto no le funciona, llámenos al {phone}.",
    ),
    **VISIT_WORDS,
    **NOTICE_WORDS,
    **ERROR_WORDS,
}


def speaker(language: Language) -> Say:
    """Return a function that says a key of ``WORDS`` in a language, its braces filled in."""
    column = LANGUAGES.index(language)

    def say(key: str, **values: object) -> str:
        # A time in Spanish ends with a full stop of its own.
        return WORDS[key][column].format_map(values).replace("..", ".")

    return say
