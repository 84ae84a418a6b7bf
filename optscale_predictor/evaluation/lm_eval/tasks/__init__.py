"""The tasks: a YAML file each for lm-eval, the class that they are made of, and what lm-eval says of its own tasks.

Imports ``questions`` and ``lm_eval.task_metrics``; loaded by lm-eval, which finds the class through the YAML files.
"""
