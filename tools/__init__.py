"""What keeps the project in order: pages made from the code (`python -m tools.architecture`, `tools.reference`)."""
