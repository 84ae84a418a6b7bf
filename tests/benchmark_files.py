"""A few questions of our own in the columns of the public data sets, as files that tasks read in their place."""

import json

from lm_eval.tasks import TaskManager

from optscale_predictor.evaluation.lm_eval.eval_flags import TASKS
from optscale_predictor.evaluation.lm_eval.tasks.own_tasks import OWN_TASKS

SUMS = [(12, 7), (30, 45), (8, 64), (19, 3), (77, 21), (5, 5), (90, 11), (46, 38), (1, 2), (63, 29)]


def gsm8k_rows(price=1):
    return [
        {
            "question": f"Ann has {a} apples and buys {b} more at ${price} each. How many has she?",
            "answer": f"She has {a} + {b} = <<{a}+{b}={a + b}>>{a + b} apples.\n#### {a + b:,}",
        }
        for a, b in SUMS
    ]


MATH = [
    ("Find $x$ if $2x=7$.", r"Halve: $x=\boxed{\frac{7}{2}}$.", "Algebra", 1),
    ("What is $\\sqrt{50}$?", r"$\sqrt{25\cdot 2}=\boxed{5\sqrt{2}}$.", "Prealgebra", 2),
    ("Give the interval where $x^2<4$.", r"We get $\boxed{(-2,2)}$.", "Algebra", 3),
    ("How many primes are below $10$?", r"They are 2, 3, 5, 7: $\boxed{4}$.", "Number Theory", 1),
    ("Write $0.5$ as a fraction.", r"$\boxed{\frac12}$", "Prealgebra", 1),
    ("What is $10\\%$ of $70$?", r"$\boxed{7\%}$ of a hundred.", "Prealgebra", 2),
    ("What is $1000\\cdot 12$?", r"$\boxed{12,\!000}$", "Prealgebra", 1),
    ("Which angle is right?", r"$\boxed{90^\circ}$", "Geometry", 1),
    ("Who wins?", r"$\boxed{\text{Bob}}$", "Counting & Probability", 4),
    ("Solve $x=3$.", r"$\boxed{x=3}$", "Algebra", 1),
]


def math_rows():
    rows = []
    for number, (problem, solution, subject, level) in enumerate(MATH):
        answer = solution[solution.index("\\boxed{") + 7 :].rsplit("}", 1)[0]
        row = {"problem": problem, "solution": solution, "answer": answer, "subject": subject}
        rows.append({**row, "level": level, "unique_id": f"test/{number}.json"})
    return rows


def aime24_rows():
    return [
        {"ID": f"2024-I-{number}", "Problem": f"Find ${a}+{b}$.", "Solution": f"$\\boxed{{{a + b}}}$", "Answer": a + b}
        for number, (a, b) in enumerate(SUMS)
    ]


def aime25_rows():
    return [
        {"id": str(number), "problem": f"Find ${a}+{b}$.", "answer": f"{a + b}"} for number, (a, b) in enumerate(SUMS)
    ]


def amc23_rows():
    return [
        {"id": number, "question": f"Find ${a}+{b}$.", "answer": f"{a + b}.0"} for number, (a, b) in enumerate(SUMS)
    ]


#: Our tasks that are lm-eval's too: its name for them, its folder, and where the questions are.
SAME = {
    "optscale_gsm8k": ("gsm8k", "gsm8k", {"train": gsm8k_rows(price=3), "test": gsm8k_rows()}),
    "optscale_math500": ("hendrycks_math500", "hendrycks_math", {"test": math_rows()}),
    "optscale_aime24": ("aime24", "aime", {"train": aime24_rows()}),
    "optscale_aime25": ("aime25", "aime", {"test": aime25_rows()}),
}
AMC23 = {"test": amc23_rows()}


def write_splits(folder, splits):
    """Writes a data set's splits; returns what makes a task read them in place of the hub's."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for split, rows in splits.items():
        place = folder / f"{split}.jsonl"
        place.write_text("".join(json.dumps(row) + "\n" for row in rows))
        files[split] = str(place)
    reading = {"data_files": files, "cache_dir": str(folder / "cache")}
    return {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": reading}


def task_manager(**options):
    """Ours and those of lm-eval's that ours follow; all of lm-eval's would take seconds to index."""
    folders = [str(OWN_TASKS / folder) for folder in ("gsm8k", "hendrycks_math", "aime")]
    return TaskManager(include_defaults=False, include_path=[*folders, str(TASKS)], **options)


def group_of(name, place):
    """lm-eval's way to change a task's data set: a group that says so of its members."""
    return {"group": f"local_{name}", "task": [{"task": name, **place}]}


def load_task(name, place=None, **metadata):
    spec = name if place is None else group_of(name, place)
    return task_manager(metadata=metadata or None).load([spec])["tasks"][name]
