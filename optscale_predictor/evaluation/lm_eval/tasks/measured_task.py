"""The class behind our task files: a task of lm-eval's, its documents described, its answers measured with their cost.

A file may say, besides what any of lm-eval's says:

    follows        one of lm-eval's own tasks, ``FOLDER/TASK``: all that our file does not say is as the installed
                   lm-eval says it, and lm-eval judges the answers
    question_set   the set of ``question_sets`` that the task asks
    solution       the data set's column of worked solutions, where lm-eval reads the answer there
    verdicts       by filter of a followed task, what follows ``exact_match`` in the name of its verdict

A user says with ``--metadata``: ``{"questions": FILE}`` asks other questions, ``{"fewshot": FILE}`` takes the examples
from a file. Both also take the names of ``question_sets``. ``{"prompt": FILE}`` asks by a template of the user's, with
``{question}`` in it, where the task is not one of lm-eval's own. A user's questions are laid out in the columns of the
public data set that they stand in for, so that a task reads them as it reads the data set.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lm_eval.api.metrics import mean
from lm_eval.api.task import ConfigurableTask

from optscale_predictor._support.hub_connection import hub_or_cache
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.lm_eval.task_metrics import higher_is_better, measure
from optscale_predictor.evaluation.lm_eval.tasks.own_tasks import OwnVerdict, own_settings
from optscale_predictor.questions.answers import extract_answer, is_correct, strip_thinking
from optscale_predictor.questions.documents import GOLD, ID, document_gold, document_id
from optscale_predictor.questions.golds import gold_answer
from optscale_predictor.questions.prompts import PromptTemplate
from optscale_predictor.questions.question import Question
from optscale_predictor.questions.question_sets import PUBLIC, DatasetSource, load_question_set

_OURS = ("class", "follows", "question_set", "solution", "verdicts")
_PLAIN = DatasetSource("", "test", question="question", gold="answer")
_EXAMPLES = "examples"


class MeasuredTask(ConfigurableTask):
    """A task as our YAML files describe it.

    Args:
        config: What the file says, and what a user says in its place.

    Raises:
        InputError: The questions cannot be had.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._follows: str | None = config.get("follows")
        self._question_set: str | None = config.get("question_set")
        self._solution: str | None = config.get("solution")
        self._verdicts: Mapping[str, str] = config.get("verdicts") or {"none": ""}
        metadata = config.get("metadata") or {}
        self._questions, self._examples = (_name(metadata, key) for key in ("questions", "fewshot"))
        prompt = _name(metadata, "prompt")
        if prompt is not None and self._follows:
            raise InputError(f"task {config.get('task')}: it asks as lm-eval's own does, and takes no prompt of yours")
        self._prompt = None if prompt is None else PromptTemplate.from_file(prompt)
        theirs = own_settings(self._follows) if self._follows else {}
        ours = {name: value for name, value in config.items() if name not in _OURS}
        if self._follows:
            version = (theirs.get("metadata") or {}).get("version")
            ours["metadata"] = {**metadata, "follows": self._follows, "follows_version": version}
        if self._prompt is not None:
            ours["doc_to_text"] = self._ask
        settings = {**theirs, **ours, **self._splits()}
        # What lm-eval would compute itself: the judge does, and every metric is one of ``measure``.
        super().__init__(config={**settings, "process_results": None, "filter_list": None, "metric_list": []})
        documents = self.dataset[self.config.test_split]
        self._judge = OwnVerdict({**theirs, **_of_documents(settings)}, documents) if self._follows else None

    def download(self, dataset_kwargs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Loads the questions: a user's, or the data set's.

        Raises:
            InputError: They cannot be had, or an example has no answer.
        """
        test = self.config.test_split
        named = self._questions or (None if self._follows else self._question_set)
        if named is not None:
            self.dataset = {test: self._rows(load_question_set(named))}
        elif self._follows is None:
            raise InputError(f'task {self.config.task}: which questions? Add --metadata \'{{"questions": "FILE"}}\'')
        else:
            self._load(dataset_kwargs, **kwargs)
        prefix = (self._question_set or str(self.config.task)).replace(":", "/")
        self.dataset[test] = _described(self.dataset[test], prefix)
        if self._examples is not None:
            examples = load_question_set(self._examples)
            _require_answers(examples, self._examples)
            self.dataset[_EXAMPLES] = _described(self._rows(examples), _EXAMPLES)

    def build_all_requests(self, **kwargs: Any) -> None:
        """As lm-eval's, after checking that there are as many examples as the prompt is to show.

        Raises:
            InputError: There are not.
        """
        wanted = int(self.config.num_fewshot or 0)
        if wanted and self._questions and not self._examples:
            raise InputError(
                f"task {self.config.task}: {wanted} examples are wanted and {self._questions} is for asking; "
                'name a file of examples, --metadata \'{"questions": …, "fewshot": "FILE"}\', or give --num_fewshot 0'
            )
        if self._examples and wanted > len(self.dataset[_EXAMPLES]):
            held = len(self.dataset[_EXAMPLES])
            raise InputError(f"task {self.config.task}: {wanted} examples are wanted, {self._examples} holds {held}")
        if self._questions or self._examples or self._prompt:
            # lm-eval keeps requests under the task's name and would ask one file's questions for another's.
            kwargs["cache_requests"] = False
        super().build_all_requests(**kwargs)

    def process_results(self, doc: Mapping[str, Any], results: list[str]) -> dict[str, float]:
        """The metrics of one document, as ``task_metrics`` names them.

        Args:
            doc: The document.
            results: Its reply, the first of the list.
        """
        if "bypass" in self._metric_fn_list:  # lm-eval's --predict_only
            return dict(super().process_results(doc, results))
        found = measure(results[0], partial(self._verdict, doc))
        for name in found:
            self._aggregation_list.setdefault(name, mean)
            better = higher_is_better(name)
            if better is not None:
                self._higher_is_better.setdefault(name, better)
        return found

    def _ask(self, doc: Mapping[str, Any]) -> str:
        """The user's own prompt for a document."""
        return str(self._prompt and self._prompt(str(doc["question"])))

    def _verdict(self, doc: Mapping[str, Any], text: str) -> dict[str, float]:
        """Whether a text is right, by lm-eval and by us; nothing where the right answer is not known."""
        if not doc[GOLD]:
            return {}
        ours = float(is_correct(extract_answer(text, getattr(text, "ended", True)), doc[GOLD]))
        if self._judge is None:
            return {"exact_match": ours}
        theirs = self._judge(doc, strip_thinking(str(text)))
        judged = {f"exact_match{suffix}": theirs[name]["exact_match"] for name, suffix in self._verdicts.items()}
        return {**judged, "math_verify": ours}

    def _splits(self) -> dict[str, Any]:
        """What a user's files change of the splits."""
        changed: dict[str, Any] = {}
        if self._questions:
            # lm-eval warns where no split has examples; none is shown from this one (build_all_requests).
            changed = {"training_split": None, "validation_split": None, "test_split": "test", "fewshot_split": "test"}
        return {**changed, "fewshot_split": _EXAMPLES} if self._examples else changed

    def _rows(self, questions: list[Question]) -> Any:
        return _question_rows(questions, PUBLIC.get(self._question_set or "", _PLAIN), self._solution)

    def _load(self, dataset_kwargs: dict[str, Any] | None, **kwargs: Any) -> None:
        """lm-eval's own way to the data set, its errors in one line."""
        place = str(self.config.dataset_path)
        try:
            with hub_or_cache(asks=not Path(place).exists()):
                super().download(dataset_kwargs, **kwargs)
        except Exception as error:  # datasets, its readers and the hub's client raise errors of many kinds
            reason = " ".join(str(error).split())[:300]
            hint = '; is the hub in reach? --metadata \'{"questions": "FILE"}\' asks your own'
            raise InputError(
                f"task {self.config.task}: cannot load data set {place!r}: {type(error).__name__}: {reason}{hint}"
            ) from error


def answered_by_gold(rows: Any) -> Any:
    """``rows`` whose ``answer`` is the final answer as we write it (``27``), where a data set says ``27.0``."""
    return rows.remove_columns("answer").add_column("answer", rows[GOLD]) if "answer" in rows.column_names else rows


def _name(metadata: Mapping[str, Any], key: str) -> str | None:
    value = metadata.get(key)
    if value is not None and (not isinstance(value, str) or not value):
        raise InputError(f"--metadata: {key!r} must be the name of a file or of a question set, got {value!r}")
    return value


def _of_documents(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that say what a document looks like, for the judge."""
    return {name: settings[name] for name in ("process_docs", "doc_to_text", "doc_to_target") if name in settings}


def _question_rows(questions: Sequence[Question], columns: DatasetSource, solution: str | None = None) -> Any:
    r"""A data set of these questions.

    Args:
        questions: At least one.
        columns: How the data set that they stand in for calls its question and answer.
        solution: Its column of worked solutions, where a task reads the answer there. A final answer alone becomes
            one, ``\boxed{}`` around it.
    """
    import datasets

    names = dict.fromkeys(name for question in questions for name in question.labels)
    rows = [
        {**{name: question.labels.get(name) for name in names}, **_row(question, columns, solution)}
        for question in questions
    ]
    return datasets.Dataset.from_list(rows)


def _described(rows: Any, prefix: str) -> Any:
    """``rows`` with their questions' ids and final answers; ids are the rows' own or their numbers, after ``prefix``.

    An answer that is not known is an empty text.
    """
    documents = list(rows)
    if ID not in rows.column_names:
        ids = [f"{prefix}/{document_id(document, str(number))}" for number, document in enumerate(documents)]
        rows = rows.add_column(ID, ids)
    if GOLD in rows.column_names:
        return rows
    return rows.add_column(GOLD, [document_gold(document) or "" for document in documents])


def _require_answers(questions: Sequence[Question], location: str) -> None:
    """Checks that every question can be shown as an example."""
    for question in questions:
        if not question.gold or not question.gold.strip():
            raise InputError(f"{location}: question {question.id!r} has no answer, and examples need one")


def _row(question: Question, columns: DatasetSource, solution: str | None) -> dict[str, str]:
    given = question.gold or ""
    final = gold_answer(given, f"question {question.id!r}") or ""
    # GSM8K's form is the answer itself: examples show how it was worked out.
    answer = given if "####" in given else final
    row = {ID: question.id, str(columns.question): question.text, str(columns.gold): answer, GOLD: final}
    if solution is not None:
        row[solution] = given if "\\boxed{" in given else f"\\boxed{{{final}}}"
    return row
