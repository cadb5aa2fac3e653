"""Twilio and the mail server in a process of their own, which outlives those that are killed and takes commands.

``python -m chaos.providers --twilio-port P --smtp-port Q --folder F --seed N`` writes what it accepts to
``texts.jsonl`` and ``mails.jsonl`` in the folder, and to the disk, before it answers. Each line of its input is a
command, a JSON object: ``{"texts": {"busy": 0.5}, "mails": {"drop-afterwards": 0.5}}`` are the probabilities from now
on.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from tests.simulators import smtp, twilio

# Twilio reports what it took, some of it twice, and in any order; how much of it is lost is for the seed to say.
CALLBACKS = ("sent", "delivered")
CALLBACK_DELAY, CALLBACK_REPEATS = 0.3, 0.2


def obey(command: dict[str, Any], texts: twilio.TwilioSimulator, mails: smtp.SmtpSimulator) -> None:
    """Go wrong as a command says, from now on."""
    texts.chances = [(twilio.NAMED_FAULTS[name], chance) for name, chance in command.get("texts", {}).items()]
    mails.chances = [(*smtp.NAMED_FAULTS[name], chance) for name, chance in command.get("mails", {}).items()]


async def serve(arguments: argparse.Namespace) -> None:
    folder: Path = arguments.folder
    async with (
        twilio.TwilioSimulator(
            port=arguments.twilio_port, callbacks=CALLBACKS, callback_delay=CALLBACK_DELAY, shuffled=True,
            callback_loss=arguments.callback_loss, callback_repeats=CALLBACK_REPEATS, seed=arguments.seed,
            log=folder / "texts.jsonl",
        ) as texts,
        smtp.SmtpSimulator(port=arguments.smtp_port, seed=arguments.seed, log=folder / "mails.jsonl") as mails,
    ):  # fmt: skip
        commands = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
        print("ready", flush=True)
        while line := await commands.readline():
            obey(json.loads(line), texts, mails)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--twilio-port", type=int, required=True)
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--callback-loss", type=float, default=0.0)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
