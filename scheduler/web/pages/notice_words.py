"""The words of what is explained, not asked: privacy, the terms of text messages, and being called back.

They say what this software does and are a draft for the clinic and its counsel to finish. They are part of ``words``.
"""

NOTICE_WORDS: dict[str, tuple[str, str]] = {
    # Being called back instead of booking
    "call.h1": ("We’ll call you", "Le llamamos"),
    "call.lead": (
        "A person from our front desk calls you back when we are open, and finds the right visit with you.",
        "Una persona de nuestra recepción le llamará en nuestro horario y buscará con usted la visita adecuada.",
    ),
    "call.hint": ("The number we should call", "El número al que debemos llamar"),
    "call.do": ("Please call me", "Llámenme, por favor"),
    "call.done": (
        "Thank you. We’ll call the number you gave us when we are open.",
        "Gracias. Llamaremos en nuestro horario al número que nos dio.",
    ),
    # Privacy
    "privacy.h1": ("Privacy on these pages", "Privacidad en estas páginas"),
    "privacy.kept.h": ("What we keep", "Qué guardamos"),
    "privacy.kept": (
        (
            "Your name, phone number and, if you give it, your email address, with the visits you book and the "
            "messages we send you about them. What you say about texts we keep with the time and the internet "
            "address and browser you said it from. We do not ask about your health here."
        ),
        (
            "Su nombre, su teléfono y, si lo da, su correo electrónico, junto con las citas que reserva y los mensajes "
            "que le enviamos sobre ellas. Lo que diga sobre los mensajes lo guardamos con la hora y la dirección de "
            "internet y el navegador desde los que lo dijo. Aquí no le preguntamos sobre su salud."
        ),
    ),
    "privacy.others.h": ("Who else sees it", "Quién más lo ve"),
    "privacy.others": (
        (
            "The companies that carry our texts and emails, so that these reach you, and nobody else. We do not sell "
            "your phone number or your consent to texts, and we do not share them with anybody for marketing."
        ),
        (
            "Las empresas que transmiten nuestros mensajes y correos, para que le lleguen, y nadie más. No vendemos su "
            "teléfono ni su consentimiento para recibir mensajes, ni los compartimos con nadie para publicidad."
        ),
    ),
    "privacy.watching.h": ("No tracking", "Sin rastreo"),
    "privacy.watching": (
        (
            "These pages load nothing from other companies: no advertising, no statistics, no maps. Your browser keeps "
            "your language and, for two hours, your booking, in cookies that only we read."
        ),
        (
            "Estas páginas no cargan nada de otras empresas: ni publicidad, ni estadísticas, ni mapas. Su navegador "
            "guarda su idioma y, durante dos horas, su reserva, en cookies que solo leemos nosotros."
        ),
    ),
    "privacy.link.h": ("Your private link", "Su enlace privado"),
    "privacy.link": (
        "Whoever has it can see and change your visit, so please keep it to yourself. It ends after the visit.",
        "Quien lo tenga puede ver y cambiar su cita, así que no lo comparta. Deja de funcionar después de la cita.",
    ),
    "privacy.records.h": ("Your medical records", "Su historia clínica"),
    "privacy.records": (
        "Our Notice of Privacy Practices says how we handle them. Ask for it at the front desk or at {phone}.",
        "Nuestro Aviso de Prácticas de Privacidad explica cómo la tratamos. Pídalo en recepción o al {phone}.",
    ),
    # The terms of text messages
    "terms.h1": ("Text message terms", "Términos de los mensajes"),
    "terms.what.h": ("What we text", "Qué le enviamos"),
    "terms.what": (
        (
            "{clinic} texts you about your own visits: confirmations, changes and reminders, about 3 messages per "
            "visit. No advertising."
        ),
        (
            "{clinic} le envía mensajes sobre sus propias citas: confirmaciones, cambios y recordatorios, unos 3 "
            "mensajes por cita. Sin publicidad."
        ),
    ),
    "terms.choice.h": ("Your choice", "Usted decide"),
    "terms.choice": (
        "Texts are only for those who ask for them, and you can book without them.",
        "Los mensajes son solo para quienes los piden, y puede reservar sin ellos.",
    ),
    "terms.stop.h": ("To stop, or to get help", "Para cancelarlos o pedir ayuda"),
    "terms.stop": (
        "Reply STOP to end all texts, START to turn them on again, HELP for help, or call {phone}.",
        "Responda STOP para no recibir más mensajes, START para activarlos, HELP para ayuda, o llame al {phone}.",
    ),
    "terms.cost.h": ("What it costs", "Cuánto cuesta"),
    "terms.cost": (
        (
            "Message and data rates of your own carrier may apply. Carriers are not liable for messages that come late "
            "or not at all."
        ),
        (
            "Pueden aplicarse las tarifas de mensajes y datos de su compañía. Las compañías no responden por mensajes "
            "que lleguen tarde o que no lleguen."
        ),
    ),
    "terms.private.h": ("What they do not say", "Lo que no dicen"),
    "terms.private": (
        "A text says when you are expected and by whom it is sent. It never says why you come.",
        "Un mensaje dice cuándo le esperamos y quién lo envía. Nunca dice por qué viene.",
    ),
}
