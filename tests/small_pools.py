"""Small pools for the tests of pools, and what the command line says about them."""

import pytest

from optscale_predictor.backends.generators import Sample
from optscale_predictor.cli.main import main
from optscale_predictor.pools import Pool, PoolWriter
from optscale_predictor.questions.question import Question

VERIFIER = {"adapter": "made up", "model": "org/verifier"}


def questions_of(count, first=0):
    return [Question(f"q{number}", f"{number}+{number}=", str(2 * number)) for number in range(first, first + count)]


def settings_of(seed=0, **further):
    return {"generator": {"adapter": "made up", "seed": seed, **further}, "prompt": "{question}"}


def sample(question, index, seed=0):
    """Right for even indices; its text says where it comes from."""
    number = int(question.id[1:])
    return Sample(f"seed {seed}, no. {index}: #### {2 * number + index % 2}", 5 + index, "stop", 100 * seed + index)


def write_pool(folder, questions=None, samples=4, seed=0, shard=8, first=0, **further):
    """A pool without scores, of samples that depend on question, index and seed."""
    asked = questions_of(4) if questions is None else questions
    with PoolWriter(folder, asked, settings_of(seed, **further), shard) as writer:
        for question in asked:
            writer.append(question.id, first, [sample(question, index, seed) for index in range(first, samples)])
    return Pool(folder)


def write_scored(folder, columns=("score",), **options):
    """The same with scores in [0, 1]; every fifth sample is refused."""
    made = {name: {**VERIFIER, "column": name} for name in columns}
    write_pool(folder.with_name(f"{folder.name}_unscored"), **options)
    bare = Pool(folder.with_name(f"{folder.name}_unscored"))
    with PoolWriter(folder, bare.questions, bare.manifest["settings"], options.get("shard", 8), made) as writer:
        rows = bare.read().to_pylist()
        for number, row in enumerate(rows):
            for name in columns:
                suffix = name.removeprefix("score")
                refused = number % 5 == 4
                row[name] = None if refused else (number % 11) / 11
                row[f"refusal{suffix}"] = "it is too long" if refused else None
                row[f"verifier_tokens{suffix}"] = 20 + number
        for start in range(0, len(rows), 4):
            writer.append_rows(rows[start : start + 4])
    return Pool(folder)


def rows_of(folder):
    """All rows by key; each key once."""
    rows = Pool(folder).read().to_pylist()
    found = {(row["question_id"], row["sample_index"]): row for row in rows}
    assert len(found) == len(rows)
    return found


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def refused(capsys, *arguments):
    """The one line with which the command line refuses; exit code 2."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    error = capsys.readouterr().err
    said = [line for line in error.splitlines() if line.strip()]
    assert stopped.value.code == 2 and len(said) == 1 and said[0].startswith("optscale: error: "), error
    return said[0].removeprefix("optscale: error: ")


def shown(capsys, *arguments):
    """What a command prints."""
    capsys.readouterr()
    main([str(argument) for argument in arguments])
    return capsys.readouterr().out
