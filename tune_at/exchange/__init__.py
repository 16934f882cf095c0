"""To and from other programs: learning curves from elsewhere become a sweep's folder, a sweep an Optuna study."""
