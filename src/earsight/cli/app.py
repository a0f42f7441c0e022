"""The command `earsight`: finds the command that is asked for and runs it.

Only the chosen command's module is imported, and those import heavy parts inside `run`,
so that every `--help` is instant.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from types import FrameType
from typing import NoReturn, Protocol, cast, runtime_checkable

from earsight.errors import EarsightError, InputError, MediaError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT
EXIT_BROKEN_PIPE = 128 + 13  # SIGPIPE, which some systems do not name


@dataclass(frozen=True, slots=True)
class Command:
    """A name on the command line, the module that holds it, and its line in the help."""

    name: str
    module: str
    summary: str


COMMANDS = (
    Command("sound", "earsight.cli.sound", "make sound for a video or picture"),
    Command("codec", "earsight.cli.codec", "code sound at 0.3 kbit/s and decode it"),
    Command("tag", "earsight.cli.tag", "say what is heard in sounds, and when"),
    Command("embed", "earsight.cli.embed", "turn sounds into vectors"),
    Command("repair", "earsight.cli.repair", "hide parts of a sound and restore them"),
    Command("prepare", "earsight.cli.prepare", "prepare a corpus for training and measuring"),
    Command("train", "earsight.cli.train", "train a stage by its recipe, or resume it"),
    Command("weights", "earsight.cli.weights", "list, fetch, convert and verify official weights"),
    Command("evaluate", "earsight.cli.evaluate", "score a model or sounds by a published table"),
    Command("bench", "earsight.cli.bench", "measure speed beside the plain way"),
    Command("parity", "earsight.cli.parity", "re-run stored reference results, print the errors"),
    Command("doctor", "earsight.cli.doctor", "check this installation and say what to do"),
)


@runtime_checkable
class CommandModule(Protocol):
    """What every command's module offers."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        ...

    def run(self, args: argparse.Namespace) -> int:
        """Do the work; returns the exit code."""
        ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    0 all done, 1 something failed, 2 wrong usage, 130 interrupted, 141 reader gone.
    Errors that earsight raises on purpose become one line; any other keeps its traceback.
    """
    if argv is None:
        argv = sys.argv[1:]
        signal.signal(signal.SIGTERM, _stop)
    try:
        code = _run(argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _complain("interrupted; finished outputs are whole and stay", EXIT_INTERRUPTED)
    except BrokenPipeError:
        # the interpreter flushes stdout once more on its way out: give it somewhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except EarsightError as error:
        wrong_argument = isinstance(error, InputError) and not isinstance(error, MediaError)
        return _complain(str(error), EXIT_USAGE if wrong_argument else EXIT_FAILED)
    return code


def build_parser(chosen: str | None) -> argparse.ArgumentParser:
    """Parser of the whole command line; only the `chosen` command brings its arguments."""
    parser = argparse.ArgumentParser(
        prog="earsight",
        description="Hear what a silent clip sounds like; compress, measure and prove sound.",
        epilog="'earsight COMMAND --help' explains a command.",
    )
    parser.add_argument("--version", action=_PrintVersion)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        below = commands.add_parser(
            command.name, help=command.summary, description=command.summary.capitalize() + "."
        )
        if command.name == chosen:
            load(command).configure(below)
    return parser


def load(command: Command) -> CommandModule:
    """Import the module of a command."""
    return cast(CommandModule, import_module(command.module))


def _run(argv: Sequence[str]) -> int:
    names = {command.name: command for command in COMMANDS}
    chosen = next((word for word in argv if not word.startswith("-")), None)
    args = build_parser(chosen).parse_args(argv)
    return load(names[args.command]).run(args)


class _PrintVersion(argparse.Action):
    """`--version`, looked up only when asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version and stop")

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        from importlib.metadata import version

        print(f"earsight {version('earsight')}")
        parser.exit()


def _complain(message: str, code: int) -> int:
    line = " ".join(message.split())
    print(f"earsight: {line}", file=sys.stderr)
    return code


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    # raised as an exception so that half-written files are removed on the way out
    raise SystemExit(128 + number)
