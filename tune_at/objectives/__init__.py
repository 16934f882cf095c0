"""Training objectives, one a file. Each returns a loss and its scalars; none touches the optimiser."""
