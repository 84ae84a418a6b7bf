"""Evaluation: lm-eval runs, reports on them, assessments of predictors, and the paper's table.

``lm_eval`` runs tasks, ``run_record`` is what a run leaves behind, ``report`` makes pages of records and pools,
``assessment`` measures a predictor, and ``paper_table`` replays every method of the paper. ``lm_eval`` and ``report``
meet in ``run_record`` alone.

May import ``inference``, ``predictor``, ``replays``, ``targets``, ``pools``, ``policies``, ``pages`` and what they may
import; nothing of ``serving``, ``cli`` or ``embedded``.
"""
