"""Made-up pools in the layout in which the paper's authors published theirs."""

import json

import numpy as np

#: Names of a benchmark in a file of samples, of its file of prompts, and of the key of a question there.
NAMES = {"math500": ("math500_test", "problem"), "aime24": ("aime24", "problem"), "aime25": ("aime25", "question")}


def texts_of(benchmark, questions):
    """Questions that resemble one another in nothing."""
    rng = np.random.default_rng(sum(map(ord, benchmark)))
    return ["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 60)) for _ in range(questions)]


def item_of(number, text, rng, depth, **changes):
    """One question's samples; the right answer is its number, scores tell right from wrong, not always."""
    ease = rng.beta(1.5, 1.0)
    right = rng.random(depth) < ease
    completions = [f"<think>so</think> \\boxed{{{number if one else number + rng.integers(1, 4)}}}" for one in right]
    score = {
        "problem": [text],
        "completions": [completions],
        "scores": [np.clip(0.3 + 0.4 * ease + 0.2 * right + 0.15 * rng.standard_normal(depth), 0, 1).tolist()],
        "completion_tokens": [rng.integers(300, 2000, depth).tolist()],
    }
    return {"id": number + 1, "output": completions[0], "n": depth, "score": {**score, **changes}}


def write_layout(root, benchmark="aime24", questions=12, depth=8, sequential=True):
    """The authors' files of one benchmark below a folder; returns the items of both kinds by their folder's name."""
    prompts, key = NAMES[benchmark]
    rng = np.random.default_rng(sum(map(ord, benchmark)))
    texts = texts_of(benchmark, questions)
    named = [{key: text, "answer": str(number)} for number, text in enumerate(texts)]
    write(root / "data" / "test_prompts" / f"{prompts}.json", named)
    written = {}
    for kind, short in (("parallel", "par"), ("sequential", "seq"))[: 1 + sequential]:
        items = [item_of(number, text, rng, depth) for number, text in enumerate(texts)]
        written[kind] = items
        write(samples_file(root, kind, f"{short}_{benchmark}"), items)
    return written


def samples_file(root, kind, name):
    return root / "data" / "completions" / "r1_distill_qwen7b" / kind / f"scored_qwen7b_{name}_64.json"


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1))


def right(item, index):
    """Whether a sample is right, read off the file alone."""
    return item["score"]["completions"][0][index].endswith(f"\\boxed{{{item['id'] - 1}}}")


def best_of(items, size):
    """Accuracy and tokens of the published Best-of-N, as its script computes them: the first samples of the file."""
    accuracy, tokens = [], []
    for item in items:
        scores = item["score"]["scores"][0][:size]
        accuracy.append(right(item, scores.index(max(scores))))
        tokens.append(sum(item["score"]["completion_tokens"][0][:size]))
    return np.mean(accuracy), np.mean(tokens)


def last_of(items, size):
    """Accuracy and tokens of MR-Thinking, as the published script computes them: the last of the first samples."""
    tokens = [sum(item["score"]["completion_tokens"][0][:size]) for item in items]
    return np.mean([right(item, size - 1) for item in items]), np.mean(tokens)
