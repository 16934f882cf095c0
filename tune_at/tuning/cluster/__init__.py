"""Ray itself: starting or joining it, tokens, and asking what its nodes have."""
