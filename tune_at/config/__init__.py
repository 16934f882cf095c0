"""What a trial is: frozen, validated sections without torch or Ray."""
