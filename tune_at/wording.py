"""Words in what is printed."""


def counted(number: int, noun: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{number} {noun}{'s' * (number != 1)}"
