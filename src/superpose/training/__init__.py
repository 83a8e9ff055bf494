"""Training one domain's adapter: settings, the Trainer, how far it is."""
