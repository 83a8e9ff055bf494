"""The tournament of predictors: measured interference of adapters on real question sets."""
