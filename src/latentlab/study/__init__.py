"""The trade-off study: Optuna searches for the smallest good autoencoder; a trial is a row, trained as any other."""
