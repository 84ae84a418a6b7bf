"""The model card of a trained verifier: what it scores, what it was made from, what was measured, how to use it."""

from collections.abc import Mapping
from pathlib import Path

from optscale_predictor._support.version import __version__
from optscale_predictor.backends.adapters.base_model import folder_name, is_folder
from optscale_predictor.backends.model_source import ModelSource
from optscale_predictor.backends.verifiers.trained_config import TrainedVerifierConfig
from optscale_predictor.pages.cards import front_matter
from optscale_predictor.pages.markdown import code, escape, flat, settings_table, table
from optscale_predictor.pages.templating import environment

_TEMPLATES = Path(__file__).parent / "templates"
_TAGS = ["optscale", "best-of-n", "test-time-compute", "reward-model", "verifier", "lora", "peft"]

#: Figures and what they mean, in the order in which they are shown.
MEANINGS: Mapping[str, str] = {
    "questions": "held-out questions",
    "samples": "their samples",
    "auc_within": "AUC within a question: P(a right sample is scored above a wrong one of the same question)",
    "auc": "AUC over all samples",
    "calibration_error": "calibration error (ECE) of the scores as probabilities",
    "brier": "Brier score",
    "loss": "loss",
    "auc_within_before": "AUC within a question before training",
    "auc_before": "AUC over all samples before training",
    "loss_before": "loss before training",
    "epoch": "the epoch that was kept",
}
_COUNTS = ("questions", "samples", "epoch")
_FEW_QUESTIONS = 20


def measured_rows(metrics: Mapping[str, float]) -> list[tuple[str, str]]:
    """Figures in words, with their values.

    Args:
        metrics: A trained verifier's.
    """
    rows = []
    for name, meaning in MEANINGS.items():
        if name in metrics:
            value = f"{metrics[name]:,.0f}" if name in _COUNTS else f"{metrics[name]:.3f}"
            error = metrics.get(f"{name}_error")
            rows.append((meaning, value if error is None else f"{value} ± {error:.3f}"))
    return rows


def verifier_cautions(metrics: Mapping[str, float]) -> list[str]:
    """What a verifier's figures say against using it, a line each.

    Args:
        metrics: A trained verifier's.
    """
    lines = []
    if metrics.get("questions", 0) < _FEW_QUESTIONS:
        lines.append(f"{metrics.get('questions', 0):.0f} questions were held out: too few to say what it is worth")
    within = metrics.get("auc_within", float("nan"))
    if within <= 0.5:
        lines.append(f"within a question it tells right from wrong no better than a coin (AUC {within:.3f})")
    if metrics.get("epoch") == 0:
        lines.append("no epoch was better than the model before training, which is what was kept")
    return lines


def render_verifier_card(config: TrainedVerifierConfig, license: str | None = None) -> str:
    """The card, as Markdown with the hub's metadata at its top.

    Args:
        config: The verifier's.
        license: As the hub names it; without one the card leaves it to be filled in.
    """
    from huggingface_hub import ModelCardData

    base, source = folder_name(config.base_model), ModelSource.from_json(config.base_source)
    on_hub = config.base_model.count("/") == 1 and not is_folder(config.base_model)
    metadata = ModelCardData(
        library_name="optscale-predictor",
        license=license,
        base_model=config.base_model if on_hub else None,
        base_model_relation="adapter" if on_hub else None,
        tags=_TAGS,
    )
    needed = None if license else f"{source.base_terms} and the generator's and the questions' terms"
    made_of = {
        "base model": base,
        **source.card_rows,
        "read as": config.kind,
        "prompt": config.prompt,
        "chat template": config.chat,
        "longest, in tokens": config.max_length,
        "precision of the base": config.precision,
        "score map": f"sigmoid((reward - {config.score_map.location:.4g}) / {config.score_map.scale:.4g})",
    }
    return (
        environment(_TEMPLATES)
        .get_template("verifier_card.md.jinja")
        .render(
            front_matter=front_matter(metadata, needed),
            title=f"OptScale verifier on {base}",
            version=__version__,
            made_of=settings_table(made_of, "part", "setting"),
            data=settings_table(flat(config.data), "fact"),
            training=settings_table(flat(config.training)),
            measured=table(
                ["number", "value"], [(escape(name), value) for name, value in measured_rows(config.metrics)]
            ),
            fitted=config.score_map.fitted == "labels",
            base_note=base if is_folder(config.base_model) else "",
            decoder=config.kind == "decoder",
            max_length=config.max_length,
            code=code,
            escape=escape,
        )
    )
