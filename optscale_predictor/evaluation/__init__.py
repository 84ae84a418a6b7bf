"""Evaluation: lm-eval runs, reports on runs, and assessments of predictors."""
