"""What keeps the project in order: `python -m tools.architecture` draws its rooms."""
