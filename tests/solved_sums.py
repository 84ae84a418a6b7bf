"""Sums with worked solutions that the embedded generator does not write yet: the answer at once, without the steps."""

import json

from optscale_predictor.questions.arithmetic import make_questions
from optscale_predictor.questions.worked_solutions import SolvedQuestion, SolvedQuestions

PROMPT = "{question}"


def solved_sums(count=60, seed=11):
    """So many questions of the embedded world with their solutions."""
    questions = make_questions(count, seed, "train")
    rows = [SolvedQuestion(one.id, one.text, f"\n#### {one.gold}") for one in questions]
    return SolvedQuestions("sums", rows, {"sets": [{"name": "sums", "questions": count, "left_out": 0}]})


def write_sums(path, count=40):
    """The same in a questions file."""
    rows = [{"question": one.question, "solution": one.solution} for one in solved_sums(count).rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)
