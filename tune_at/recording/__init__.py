"""A trial that records itself: checkpoints, rows and TensorBoard events. Knows no Ray."""
