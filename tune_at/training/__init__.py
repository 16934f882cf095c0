"""Training one trial, without Ray."""
