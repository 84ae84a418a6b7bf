"""The lm-eval plug-in: OptScale as a model, its tasks, and the command that runs them.

``eval_command`` hands lm-eval's command line on. ``optscale_lm`` is the model, configured by ``model_args``; its
answers (``chosen_text``) carry their cost to ``task_metrics``, and ``recording`` writes them into the run's record.
``process_ranks`` is for runs of several processes, and ``tasks`` holds the YAML files.

Imports ``evaluation.run_record``, ``inference``, ``replays`` and what lies below them.
"""
