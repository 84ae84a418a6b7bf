"""The lm-eval plug-in: OptScale as a model, its tasks, and the command that runs them."""
