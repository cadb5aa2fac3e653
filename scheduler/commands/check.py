"""`scheduler check`: what is configured, what is missing, and whether everything that is needed answers."""

from collections.abc import Awaitable, Callable

import asyncpg
import click
import msgspec

from scheduler.channels.addresses import read_mailbox
from scheduler.channels.reachability import reach_dkim, reach_smtp, reach_twilio
from scheduler.channels.texts import lint, lint_bring, load_texts
from scheduler.commands.opening import print_table
from scheduler.errors import ConfigurationError
from scheduler.postgres import attached
from scheduler.services.clinic_files import read_files
from scheduler.settings import Settings
from scheduler.store.clinics import load_clinics
from scheduler.store.connections import open_pool
from scheduler.store.roles import may_rewrite_audit
from scheduler.store.schema import current_revision, newest_revision
from scheduler.store.units import reading


class Finding(msgspec.Struct, frozen=True):
    """What one check found: a line for people, and whether it must be mended."""

    ok: bool
    text: str


async def check(settings: Settings) -> int:
    """Print every setting and what each check found; return the exit code, 1 where something must be mended.

    Nothing is sent and nothing is changed.
    """
    print_table(
        ("Setting", "Value", ""),
        [(name, value, "" if given_by_default else "set") for name, value, given_by_default in settings.rows()],
    )
    click.echo()
    checks: list[Callable[[Settings], Awaitable[list[Finding]]]] = [
        _check_files,
        _check_proxies,
        _check_callbacks,
        _check_database,
        _check_channels,
        _check_mail,
    ]
    findings = [finding for each in checks for finding in await each(settings)]
    for finding in findings:
        click.echo(f"{'ok     ' if finding.ok else 'PROBLEM'}  {finding.text}")
    return 0 if all(finding.ok for finding in findings) else 1


async def _check_files(settings: Settings) -> list[Finding]:
    try:
        files = read_files(settings.scheduler_clinic)
        texts = load_texts(settings.scheduler_clinic.parent / "messages")
    except ConfigurationError as problem:
        return [Finding(False, str(problem))]
    findings = [Finding(True, f"Clinic files: {', '.join(file.settings.name for file in files)}")]
    for file in files:
        findings += [Finding(True, f"note: {warning}") for warning in file.warnings]
        findings += [
            Finding(False, fault)
            for fault in (
                *lint(texts, file.settings.sms_name, file.settings.phone, settings.public_base_url),
                *lint_bring(file.visit_types),
            )
        ]
    return findings


async def _check_proxies(settings: Settings) -> list[Finding]:
    # We speak no HTTPS ourselves, so with such an address there is a proxy.
    if settings.public_base_url.startswith("https:") and not settings.trusted_proxies:
        sentence = "note: TRUSTED_PROXIES is empty, so all who come through your proxy are limited as one client"
        return [Finding(True, sentence)]
    return []


async def _check_callbacks(settings: Settings) -> list[Finding]:
    # A trial on one machine has no other address, so it is worth a word and no more.
    if settings.sms_channel == "twilio" and not settings.public_base_url.startswith("https:"):
        sentence = (
            "note: PUBLIC_BASE_URL is not https, so what patients text and what became of texts comes to us in the "
            "clear, if Twilio can reach that address at all"
        )
        return [Finding(True, sentence)]
    return []


async def _check_database(settings: Settings) -> list[Finding]:
    try:
        async with open_pool(attached(settings)) as pool, reading(pool) as connection:
            revision = await current_revision(connection)
            if revision != newest_revision():
                return [Finding(False, "The database's schema is not current: run `scheduler migrate`.")]
            clinics = await load_clinics(connection)
            too_powerful = await may_rewrite_audit(connection)
    except (ConfigurationError, asyncpg.PostgresError) as problem:
        return [Finding(False, str(problem))]
    if not clinics:
        return [Finding(False, "The database holds no clinic: run `scheduler apply`.")]
    note = "note: the role of DATABASE_URL could rewrite the audit; give the schema an owner with DATABASE_OWNER_URL"
    found = Finding(True, f"Database: schema current, {len(clinics)} clinic(s) loaded")
    return [found, Finding(True, note)] if too_powerful else [found]


async def _check_channels(settings: Settings) -> list[Finding]:
    findings: list[Finding] = []
    for name, chosen, reach in (
        ("Texts", settings.sms_channel, reach_twilio),
        ("Email", settings.email_channel, reach_smtp),
    ):
        if chosen == "preview":
            findings.append(Finding(True, f"{name}: previewed, nothing is sent"))
            continue
        trouble = await reach(settings)
        findings.append(Finding(not trouble, trouble or f"{name}: {chosen} answers and takes our credentials"))
    return findings


async def _check_mail(settings: Settings) -> list[Finding]:
    """What a mail server cannot tell: whether receivers will believe the sender and honour the links."""
    if settings.email_channel == "preview":
        return []
    findings: list[Finding] = []
    if not settings.public_base_url.startswith("https:"):
        sentence = "note: PUBLIC_BASE_URL is not https, so mail programs offer no one-click end to reminders"
        findings.append(Finding(True, sentence))
    if settings.dkim_private_key_file:
        trouble = await reach_dkim(settings)
        findings.append(Finding(not trouble, trouble or f"DKIM: emails are signed for {settings.dkim_domain}"))
        findings += [
            Finding(
                True, f"note: {domain} sends emails that are signed for {settings.dkim_domain}, which proves little"
            )
            for domain in sorted(_sender_domains(settings))
            if domain != settings.dkim_domain
        ]
    return findings


def _sender_domains(settings: Settings) -> set[str]:
    try:
        clinics = [file.settings.email_from for file in read_files(settings.scheduler_clinic)]
    except ConfigurationError:
        return set()  # said already
    senders = map(read_mailbox, [settings.email_from] if settings.email_from else clinics)
    return {sender.domain.lower() for sender in senders if sender}
