"""Every parser takes whatever bytes it is given: a right result, or one line; within two seconds and 200 MB.

In the fast tier each gets some dozens of inputs, in the full tier as many as ten minutes allow (``FUZZ_SECONDS``), from
the seed ``FUZZ_SEED`` on.
"""

import pytest
from fuzz_seeds import FOUND
from fuzz_targets import targets
from fuzzing import SECONDS, fuzz, require_right

NAMES = [
    "JSON", "YAML", "a YAML file", "files of flags", "questions", "worked solutions", "samples to import",
    "published samples", "lm-eval's logs", "a pool's manifest", "a pool's journal", "a pool's log of runs",
    "a run's record", "targets", "calibrations", "fitted policies", "combined scores", "score maps",
    "predictors' configs", "generators' configs", "verifiers' configs", "adapters' configs", "models' sources",
    "rubrics", "GGUF headers", "policies", "selections", "clients' policies", "lm-eval's arguments", "bodies of chats",
    "bodies of completions", "servers' chat replies", "servers' completion replies", "servers' errors",
    "published predictions", "answers",
]  # fmt: skip

#: What is read as far as it can be: a line that cannot is left out, and a text without an answer has none.
TOLERANT = ("a pool's journal", "a pool's log of runs", "servers' errors", "answers")


@pytest.fixture(scope="module")
def parsers(tmp_path_factory):
    """All of them, by name."""
    return {target.name: target for target in targets(tmp_path_factory.mktemp("sound"))}


@pytest.fixture
def folder(parsers, tmp_path, tmp_path_factory):
    """Where a parser's file is written, beside what it reads with it."""
    from shutil import copytree

    from fitted_policies import folder_of

    return copytree(folder_of(), tmp_path / "files")


def test_every_parser_is_named(parsers):
    assert list(parsers) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_what_is_sound_is_read(name, parsers, folder):
    target = parsers[name]
    for content in target.sound:
        if content != b"confidence:x":
            assert not require_right(target, content, folder), content


@pytest.mark.parametrize("name", NAMES)
def test_what_resembles_it_is_read_or_refused(name, parsers, folder):
    counts = fuzz(parsers[name], folder, examples=15)
    assert counts["tried"] >= 12


@pytest.mark.parametrize(("name", "content"), FOUND, ids=[f"{name} {number}" for number, (name, _) in enumerate(FOUND)])
def test_what_was_found_once(name, content, parsers, folder):
    require_right(parsers[name], content, folder)


@pytest.mark.full
@pytest.mark.parametrize("name", NAMES)
def test_for_as_long_as_there_is_time(name, parsers, folder, record_property, capsys):
    counts = fuzz(parsers[name], folder, SECONDS)
    record_property("fuzz", counts)
    with capsys.disabled():
        print(f"\n{name}: {counts['tried']:,} inputs, {counts['refused']:,} refused, nothing else wrong", flush=True)
    assert (counts["refused"] > 0) == (name not in TOLERANT) and counts["refused"] <= counts["tried"]
