"""The corpus: every sound command with one thing damaged, a file that it reads or a word of its command line.

Cases follow from the sound world and the commands by fixed rules, so that a name says what a case is, and the next run
tries the same ones. Where there are more than ``HOSTILE_MOST`` of one file or command line, they are taken evenly.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hostile_commands import Command
from hostile_damage import (
    gguf_damage,
    json_damage,
    lines_damage,
    parquet_damage,
    tensors_damage,
    text_damage,
    yaml_damage,
)

from optscale_predictor.cli.verb_flags import verb_parser
from optscale_predictor.cli.verbs import VERBS

#: Cases of one file or command line: of a quick command, and of one that takes seconds.
MOST, MOST_SLOW = int(os.environ.get("HOSTILE_MOST", "24")), int(os.environ.get("HOSTILE_MOST_SLOW", "8"))

_DAMAGE: dict[str, Callable[[bytes], Iterator[tuple[str, bytes]]]] = {
    ".json": json_damage,
    ".jsonl": lines_damage,
    ".parquet": parquet_damage,
    ".safetensors": tensors_damage,
    ".yaml": yaml_damage,
    ".gguf": lambda _: gguf_damage(),
}


@dataclass(frozen=True)
class Case:
    """One thing that is wrong.

    Attributes:
        what: What, in words.
        arguments: The command line.
        damage: Does it to the files, given the folder that holds the world's copy.
    """

    what: str
    arguments: Sequence[str]
    damage: Callable[[Path], None] = lambda _: None


def files_of(command: Command, world: Path) -> list[str]:
    """The files whose damage a command may meet."""
    found = []
    for name in command.reads:
        place = world / name
        inside = sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else [place]
        found += [str(path.relative_to(world)) for path in inside if _is_read(path)]
    return found


def _is_read(path: Path) -> bool:
    """Not a model card, a picture, or a tokenizer, which only transformers reads."""
    return path.suffix not in (".md", ".png", ".svg", ".html") and not path.name.startswith(
        (".", "tokenizer", "chat_template", "special_tokens", "vocab")
    )


def file_cases(command: Command, world: Path, name: str) -> list[Case]:
    """Cases of one file that a command reads."""
    content = (world / name).read_bytes()
    damage = _DAMAGE.get(Path(name).suffix, text_damage)
    spoilt = [(what, _writes(name, other)) for what, other in damage(content)]
    chosen = _evenly(spoilt, (MOST_SLOW if command.slow else MOST) - len(_PLACES))
    return [Case(f"{name} {what}", command.words, do) for what, do in [*_places(name), *chosen]]


def _writes(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: _write(folder / name, content)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


_PLACES = {
    "is not there": lambda path: None,
    "is a folder": Path.mkdir,
    "is a link to nothing": lambda path: path.symlink_to("nothing"),
    "is a link to itself": lambda path: path.symlink_to(path.name),
}


def _places(name: str) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """What may stand in a file's place that is no file."""
    for what, put in _PLACES.items():

        def instead(folder: Path, put: Callable[[Path], None] = put) -> None:
            (folder / name).unlink()
            put(folder / name)

        yield what, instead


def _evenly(cases: list, most: int) -> list:
    return [cases[number * len(cases) // most] for number in range(most)] if len(cases) > most else cases


def word_cases(command: Command, world: Path) -> list[Case]:
    """Cases of a command line: words missing, misspelled, of the wrong type or range, or that name the wrong thing."""
    cases = [Case(what, words) for what, words in [*_misspelled(command.words), *_wrong_places(command, world)]]
    cases += [Case(what, [*command.words, *words]) for what, words in _wrong_values(command)]
    return _evenly(cases, 2 * (MOST_SLOW if command.slow else MOST))


def _misspelled(words: list[str]) -> Iterator[tuple[str, list[str]]]:
    yield "an unknown flag", [*words, "--no_such_flag", "1"]
    yield "a flag of one letter", [*words, "-z"]
    yield "a word more", [*words, "nonsense"]
    yield "an empty word more", [*words, ""]
    yield "a word that is no text more", [*words, "\udcff\udcfe"]
    yield "a word of 5,000 letters more", [*words, "x" * 5000]
    yield "a lone dash", [*words, "-"]
    yield "two dashes and a word", [*words, "--", "nonsense"]
    yield "a file of flags that is not there", [*words, "--config", "nowhere.yaml"]
    yield "a file of flags that is a folder", [*words, "--config", "."]
    for place in range(1, len(words)):
        yield f"without {words[place]}", [*words[:place], *words[place + 1 :]]
        if words[place].startswith("--"):
            yield f"{words[place]} misspelled", [*words[:place], f"{words[place]}x", *words[place + 1 :]]
            yield f"{words[place]} at the end", [*words, words[place]]
        else:
            for other in ("", "nowhere/file", "\udcff", "x" * 5000, "a\nb"):
                yield f"{other[:12]!r} for {words[place]}", [*words[:place], other, *words[place + 1 :]]


def _wrong_places(command: Command, world: Path) -> Iterator[tuple[str, list[str]]]:
    """What a word names, replaced by everything else of the world."""
    there = sorted(path.name for path in world.iterdir())
    for place, word in enumerate(command.words):
        if word.split("/")[0] in there and word not in command.writes:
            for other in there:
                yield f"{other} for {word}", [*command.words[:place], other, *command.words[place + 1 :]]


#: What no flag means, each tried with some of the flags.
_VALUES = (
    "",
    " ",
    "many",
    "-1",
    "nan",
    "1e400",
    "9" * 30,
    "[1",
    "{a: b}",
    "\udcff",
    "0",
    "null",
    "[]",
    "x" * 5000,
    "²",
)
#: Flags that ask for as much work as they say, or for other programs, hosts and places to write.
_MEANT = re.compile(
    r"ray|epochs|samples|max_tokens|limit|resamples|num_orders|host|output|pool|record|merged|diagram|world|questions"
)


def _wrong_values(command: Command) -> Iterator[tuple[str, list[str]]]:
    name = command.words[0] if command.words[0] != "pool" else " ".join(command.words[:2])
    if name not in VERBS or VERBS[name].passed_on:
        return
    number = 0
    for action in verb_parser(VERBS[name].load(), f"optscale {name}")._actions:
        flag = next((one for one in action.option_strings if one.startswith("--")), None)
        if flag is None or action.dest in ("help", "config", "print_config"):
            continue
        for _ in range(3):
            number += 1
            value = _VALUES[number % len(_VALUES)]
            if not (_MEANT.search(action.dest) and value in ("9" * 30, "null")):
                yield f"{flag} {value[:12]!r}", [flag, value]


def copy_world(command: Command, arguments: Sequence[str], world: Path, folder: Path) -> None:
    """Copies what a command line names, and what its command needs besides, into a folder."""
    named = {part for word in arguments for part in re.split(r"[/:=,]", word)} | {*command.needs, *command.reads}
    for name in sorted({one.split("/")[0] for one in named}):
        if 0 < len(name) < 200 and name.isascii() and name.isprintable() and (world / name).exists() and name != ".":
            copy = shutil.copytree if (world / name).is_dir() else shutil.copy
            copy(world / name, folder / name)
