"""What the task files beside this one call: their questions, and what is measured of an answer."""

from typing import Any

from optscale_predictor.answers import extract_answer, is_correct


def arithmetic_docs(num_questions: int = 200, **_: Any) -> dict[str, Any]:
    """The embedded world's test questions."""
    from optscale_predictor.world.arithmetic import make_questions

    return _docs(make_questions(num_questions, seed=0, split="test"))


def gsm8k_docs(questions: str | None = None, **_: Any) -> Any:
    """GSM8K; from a questions file where ``--metadata '{"questions": "FILE"}'`` names one, else from the hub."""
    if questions is not None:
        from optscale_predictor.questions import read_questions

        docs = _docs(read_questions(questions))
        # A file has no training questions to take examples from: run it with --num_fewshot 0.
        return {**docs, "train": docs["test"].select([])}
    import datasets

    return datasets.load_dataset("openai/gsm8k", "main")


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Whether the answer is right, and what it cost; a plain string (of another model) is one sample."""
    chosen = results[0]
    return {
        "exact_match": float(is_correct(extract_answer(chosen), doc["answer"])),
        "samples": float(getattr(chosen, "samples", 1)),
        "tokens": float(getattr(chosen, "tokens", float("nan"))),
    }


def _docs(questions: list[Any]) -> dict[str, Any]:
    import datasets

    rows = [{"id": one.id, "question": one.text, "answer": one.gold} for one in questions]
    return {"test": datasets.Dataset.from_list(rows)}
