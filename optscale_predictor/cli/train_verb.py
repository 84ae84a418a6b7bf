"""The verb that trains a predictor: its own help, at once, and LightningCLI for everything else."""

from optscale_predictor._support.messages import say_loading
from optscale_predictor._support.near_names import did_you_mean
from optscale_predictor.errors import InputError

_ELSEWHERE = {
    "validate": "`fit` measures after every epoch, and `optscale assess PREDICTOR TARGETS` a predictor that is done",
    "test": "`optscale assess PREDICTOR TARGETS` measures a predictor on questions that it has not seen",
    "predict": "`optscale predict PREDICTOR QUESTIONS` applies a predictor",
}
_HELP = """\
usage: optscale train fit --config FILE [FLAGS]

Train a predictor of each question's scores, with Lightning. Every setting of trainer, model and data is a flag and a
line of YAML.

what most runs set:
  --config FILE                   settings, which flags override; or a recipe that ships: arithmetic, decoder,
                                  math_minilm, paper
  --data.path FILE                targets, as `optscale targets` writes them
  --data.batch_size NUMBER        questions in a batch
  --model.output FOLDER           the predictor's folder
  --model.base_model NAME         folder, hub id, embedded:NAME or package:NAME
  --model.learning_rate NUMBER
  --trainer.max_epochs NUMBER
  --ckpt_path last                go on where a run was stopped or killed

the other commands of Lightning are verbs of their own:
  optscale assess                 what a predictor is worth (validate, test)
  optscale predict                its priors of questions (predict)

all settings (these take seconds to load):
  optscale train fit --help
  optscale train fit --print_config

examples:
  optscale train fit --config arithmetic --data.path targets.parquet --model.output runs/predictor
  optscale train fit --config mine.yaml --model.output runs/predictor --ckpt_path last

what is said on the way, of every verb:
  -v, --verbose   more: what libraries log, warnings, times, where a mistake was found
  -q, --quiet     results, warnings and errors alone"""


def train(args: list[str]) -> None:
    """Train a predictor; LightningCLI: optscale train fit --config FILE (also --help, --print_config).

    Args:
        args: Of the command line, without the verb.

    Raises:
        InputError: There is no such command, or a setting, file or state cannot be used.
    """
    command = args[0] if args else "--help"
    if command in ("-h", "--help"):
        print(_HELP)
        return
    if command.startswith("-") and command.partition("=")[0] not in ("-c", "--config", "--print_config"):
        raise InputError(f"{command}: a command comes first, then its flags: optscale train fit {command} ...")
    if command in _ELSEWHERE:
        raise InputError(f"train has no {command}: {_ELSEWHERE[command]}")
    if not command.startswith("-") and command != "fit":
        raise InputError(f"unknown command {command!r}{did_you_mean(command, ['fit'])}; the one command is fit")
    say_loading("PyTorch and Lightning", "torch", "pytorch_lightning")
    from optscale_predictor.predictor.training.train_command import main

    main(args)
