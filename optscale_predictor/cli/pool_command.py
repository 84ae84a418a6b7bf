"""The verbs under ``optscale pool``: what a pool holds, whether it is sound, and how it travels."""

from collections.abc import Callable
from json import dumps
from typing import TYPE_CHECKING, Any

from optscale_predictor.errors import InputError

if TYPE_CHECKING:
    from optscale_predictor.pools.info import PoolInfo


def info(pool: str, json: bool = False) -> None:
    """Show what a pool holds, what it cost and what made it.

    Args:
        pool: Folder of the pool, or hub:REPO_ID[@REVISION].
        json: Print one JSON object instead.
    """
    from dataclasses import asdict

    from optscale_predictor.pools import Pool
    from optscale_predictor.pools.info import pool_info

    found = pool_info(Pool(pool))
    print(dumps(asdict(found), ensure_ascii=False) if json else "\n".join(_lines(found)))


def _lines(found: "PoolInfo") -> list[str]:
    from optscale_predictor.pools.info import run_rates

    spread = f"{found.fewest} to {found.most} a question"
    lines = [
        f"questions  {found.questions}",
        f"samples    {found.samples} ({spread}) in {found.shards} shards, {found.bytes / 2**20:.1f} MiB",
    ]
    if found.judged:
        lines.append(f"correct    {found.correct} of {found.judged} ({found.correct / found.judged:.1%})")
    lines.append(f"cut off    {found.cut_off} by the token limit")
    estimates = f" (an estimate for {found.estimated} samples)" if found.estimated else ""
    tokens = f"tokens     {found.tokens} generated{estimates}, {found.discarded_tokens} discarded"
    lines.append(tokens + (f", {found.uncounted} samples without a count" if found.uncounted else ""))
    width = max(map(len, found.scores)) + 2 if found.scores else 0
    for name, score in found.scores.items():
        mean = "" if score.mean is None else f", mean {score.mean:.3f}"
        figures = f"{score.scored} scored, {score.refused} refused, {score.unscored} open{mean}"
        lines.append(f"{name:{max(width, 11)}}{figures}, {score.verifier_tokens} verifier tokens")
        if score.made_by is not None:
            lines.append(f"           by {dumps(score.made_by, ensure_ascii=False)}")
    lines += [f"run        {run.get('started', '?')} {run.get('stage', '?')}: {run_rates(run)}" for run in found.runs]
    lines.append(f"made by    {dumps(found.settings, ensure_ascii=False)}")
    return lines


def validate(pool: str, repair: bool = False) -> None:
    """Check every file and every row of a pool; one line a fault, and exit code 2 where there is any.

    Args:
        pool: Folder of the pool, or hub:REPO_ID[@REVISION].
        repair: Set damaged shards aside under another name, so that a rerun draws their samples again, and bring the
            journal in line with what is there. Nothing is deleted.
    """
    from optscale_predictor.pools import Pool
    from optscale_predictor.pools.repair import repair_pool
    from optscale_predictor.pools.validation import validate_pool

    if repair:
        for done in repair_pool(pool):
            print(f"repaired   {done}", flush=True)
    faults = 0
    for fault in validate_pool(pool):
        print(fault, flush=True)
        faults += 1
    if faults:
        advice = "" if repair else "; --repair true sets damaged shards aside"
        raise InputError(f"{pool}: {faults} fault{'s' * (faults > 1)}{advice}")
    opened = Pool(pool)
    print(f"{pool}: sound: {sum(opened.counts().values())} samples of {len(opened.questions)} questions")


def merge(pools: list[str], output: str = "merged_pool", renumber: bool = False, shard_samples: int = 8192) -> None:
    """Merge pools that were made with the same settings (base seeds may differ) into a new one.

    Args:
        pools: Their folders, or hub:REPO_ID[@REVISION]; they stay as they are.
        output: Folder of the merged pool.
        renumber: Give another index to a sample that shares its own with another draw; without it that is an error.
        shard_samples: Samples of a shard of the merged pool, >= 1; one pool alone becomes a copy with larger ones.
    """
    from optscale_predictor.pools.merging import merge_pools

    done = merge_pools(pools, output, renumber, shard_samples, progress=True)
    print(f"{output}: {done.samples} samples of {done.questions} questions from {len(pools)} pools")
    print(f"kept once  {done.same} samples that several pools had")
    print(f"left out   {done.redrawn} samples of the same draw with another text")
    print(f"renumbered {done.renumbered} samples")


def export(pool: str, output: str, format: str = "auto", column: str = "score") -> None:
    """Write a pool's samples to one file.

    Args:
        pool: Folder of the pool, or hub:REPO_ID[@REVISION].
        output: The file; .gz at the end compresses JSON.
        format: jsonl, csv, parquet or paper (the OptScale paper's JSON, its prompts in a second file); auto goes by the
            file's name.
        column: The score that goes into the paper's form.
    """
    from optscale_predictor.pools import Pool
    from optscale_predictor.pools.exporting import export_pool

    print(f"{output}: {export_pool(Pool(pool), output, format, column)} samples")


def import_(
    pool: str,
    files: list[str],
    format: str = "auto",
    questions: str | None = None,
    column: str = "score",
    rename: str = "",
    where: str = "",
    generator: str | None = None,
    verifier: str | None = None,
    shard_samples: int = 8192,
    verdict: str = "auto",
    pair: str = "text",
) -> None:
    """Make a pool of samples that others drew; what cannot be read is named by file and line, and nothing is written.

    Args:
        pool: Folder of the pool.
        files: Their files, plain or gzip.
        format: jsonl (one sample a line, or one question a line with lists), paper (the OptScale paper's JSON), lm_eval
            (samples_*.jsonl of --log_samples), or auto.
        questions: File of questions with ids and gold answers; needed where the files have no question texts.
        column: Where the files' score goes: score or score_NAME.
        rename: For jsonl: theirs=ours pairs, for example "prompt=question,answer=gold".
        where: For jsonl: take only lines with these values, for example "generator=QwQ-32B".
        generator: What drew the samples, for the record.
        verifier: What scored them, for the record.
        shard_samples: Samples of a shard, >= 1.
        verdict: For lm_eval: what says whether a sample is right. auto takes lm-eval's own verdicts, right where any
            says so; METRIC or METRIC,FILTER that one, for example "exact_match,strict-match"; none compares with the
            gold answers.
        pair: For paper: how its items find the questions of the file of questions; text, or position, which is how the
            published code does it.
    """
    from optscale_predictor.pools.importing import import_pool

    done = import_pool(
        pool,
        files,
        format,
        questions,
        column,
        _pairs(rename, "rename"),
        _pairs(where, "where"),
        generator,
        verifier,
        shard_samples,
        verdict,
        pair,
    )
    scores = f", with {', '.join(done.scores)}" if done.scores else ", without scores"
    print(f"{pool}: {done.added} samples added; the files hold {done.samples} of {done.questions} questions{scores}")
    if done.verdicts:
        print(
            f"right or wrong by lm-eval's verdict: {done.verdicts} samples; the gold answers differ on {done.differing}"
        )


def _pairs(text: str, flag: str) -> dict[str, str]:
    pairs = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = part.partition("=")
        if not key or not equals or not value:
            raise InputError(f"{flag}: expected pairs like one=other,third=fourth, got {text!r}")
        pairs[key] = value
    return pairs


def push(pool: str, repo_id: str, private: bool = False) -> None:
    """Check a pool and put it on the hub as a data set, with a card; reads the hub's own login or HF_TOKEN.

    Args:
        pool: Folder of the pool.
        repo_id: For example name/math-7b-samples; made where it does not exist.
        private: Whether a repository that is made is private.
    """
    from optscale_predictor._support.hub import require_repository
    from optscale_predictor.pools.publishing import push_pool

    require_repository(repo_id)
    print(f"{pool}: {push_pool(pool, repo_id, private)}")


POOL_COMMANDS: dict[str, Callable[..., None] | Any] = {
    "_help": "What a pool holds, whether it is sound, and how it travels.",
    "info": info,
    "validate": validate,
    "merge": merge,
    "export": export,
    "import": import_,
    "push": push,
}
