"""The model card of a fine-tuned generator: what it was made from, what was measured, how to use it."""

from collections.abc import Mapping
from pathlib import Path

from optscale_predictor._support.version import __version__
from optscale_predictor.backends.adapters.base_model import folder_name, is_folder
from optscale_predictor.backends.adapters.generator_config import GeneratorConfig
from optscale_predictor.backends.model_source import ModelSource
from optscale_predictor.pages.cards import front_matter
from optscale_predictor.pages.markdown import code, escape, flat, settings_table, table
from optscale_predictor.pages.templating import environment

_TEMPLATES = Path(__file__).parent / "templates"
_TAGS = ["optscale", "lora", "peft", "sft"]

#: Figures and what they mean, in the order in which they are shown.
MEANINGS: Mapping[str, str] = {
    "questions": "held-out questions",
    "loss_before": "loss before training, nats a token of the solutions",
    "loss": "loss, nats a token of the solutions",
    "epoch": "the epoch that was kept",
}
_COUNTS = ("questions", "epoch")


def measured_rows(metrics: Mapping[str, float]) -> list[tuple[str, str]]:
    """Figures in words, with their values.

    Args:
        metrics: A fine-tuned generator's.
    """
    errors = {"loss": "loss_error", "loss_before": "loss_error_before"}
    rows = []
    for name, meaning in MEANINGS.items():
        if name in metrics:
            value = f"{metrics[name]:,.0f}" if name in _COUNTS else f"{metrics[name]:.4f}"
            error = metrics.get(errors.get(name, ""))
            rows.append((meaning, value if error is None else f"{value} ± {error:.4f}"))
    return rows


def render_generator_card(config: GeneratorConfig, license: str | None = None) -> str:
    """The card, as Markdown with the hub's metadata at its top.

    Args:
        config: The generator's.
        license: As the hub names it; without one the card leaves it to be filled in.
    """
    from huggingface_hub import ModelCardData

    base, source = folder_name(config.base_model), ModelSource.from_json(config.base_source)
    on_hub = config.base_model.count("/") == 1 and not is_folder(config.base_model)
    metadata = ModelCardData(
        library_name="peft",
        license=license,
        base_model=config.base_model if on_hub else None,
        base_model_relation="adapter" if on_hub else None,
        pipeline_tag="text-generation",
        tags=_TAGS,
    )
    needed = None if license else f"{source.base_terms} and the solutions' terms"
    made_of = {"base model": base, **source.card_rows, "prompt": config.prompt, "chat template": config.chat}
    return (
        environment(_TEMPLATES)
        .get_template("generator_card.md.jinja")
        .render(
            front_matter=front_matter(metadata, needed),
            title=f"{base}, fine-tuned on worked solutions",
            version=__version__,
            made_of=settings_table(made_of, "part", "setting"),
            data=settings_table(flat(config.data), "fact"),
            training=settings_table(flat(config.training)),
            measured=table(
                ["number", "value"], [(escape(name), value) for name, value in measured_rows(config.metrics)]
            ),
            base_note=base if is_folder(config.base_model) else "",
            code=code,
            escape=escape,
        )
    )
