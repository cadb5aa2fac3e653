"""A Twilio as a process that outlives the ones it serves, or that somebody at a terminal talks with.

``python -m tests.simulators.twilio_process --port 8399 --log accepted.jsonl`` prints its address, and writes every
accepted message to the log, and to the disk, before it answers. The account it knows is in ``twilio_shapes``. With
``--service http://127.0.0.1:8000``, a patient's text is brought by
``curl -d From=+12015550142 -d Body=C http://127.0.0.1:8399/texts``, and the same address shows what phones were sent.
"""

import argparse
import asyncio
from collections.abc import Iterable
from pathlib import Path

from tests.simulators.twilio import NAMED_FAULTS, Fault, TwilioSimulator


def _chances(words: Iterable[str]) -> list[tuple[Fault, float]]:
    pairs = (word.split("=") for word in words)
    return [(NAMED_FAULTS[name], float(probability)) for name, probability in pairs]


async def _serve(arguments: argparse.Namespace) -> None:
    simulator = TwilioSimulator(
        port=arguments.port,
        callbacks=arguments.callbacks,
        callback_delay=arguments.callback_delay,
        callback_loss=arguments.callback_loss,
        callback_repeats=arguments.callback_repeats,
        shuffled=arguments.shuffled,
        list_lag=arguments.list_lag,
        latency=arguments.latency,
        chances=_chances(arguments.chance),
        seed=arguments.seed,
        log=arguments.log,
        service=arguments.service,
    )
    async with simulator:
        print(simulator.url, flush=True)  # noqa: T201 - how the one who started it learns the port
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="Answers for Twilio on a loopback port until it is stopped.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path, help="every accepted message, one line of JSON each")
    parser.add_argument("--callbacks", nargs="*", default=[], metavar="STATUS", help="such as: sent delivered")
    parser.add_argument("--callback-delay", type=float, default=0.05)
    parser.add_argument("--callback-loss", type=float, default=0.0)
    parser.add_argument("--callback-repeats", type=float, default=0.0)
    parser.add_argument("--shuffled", action="store_true", help="each callback after a delay of its own")
    parser.add_argument("--list-lag", type=float, default=0.0)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--chance", nargs="*", default=[], metavar="FAULT=P", help=f"of {', '.join(NAMED_FAULTS)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--service", default="", help="where the service answers, for texts brought by POST /texts")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
