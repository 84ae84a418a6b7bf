"""Evaluation: lm-eval runs, reports on them, and assessments of predictors.

``lm_eval`` runs tasks, ``run_record`` is what a run leaves behind, ``report`` makes pages of records and pools, and
``assessment`` measures a predictor. ``lm_eval`` and ``report`` meet in ``run_record`` alone.

May import ``inference``, ``predictor``, ``replays``, ``targets``, ``pools``, ``policies``, ``pages`` and what they may
import; nothing of ``serving``, ``cli`` or ``embedded``.
"""
