"""How a network is run: precision, views for attacks, memory. What it computes stands in `models/`."""
