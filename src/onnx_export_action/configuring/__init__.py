"""Which export configuration a model has: a registered one, inferred from runs, declared, or of the repository."""
