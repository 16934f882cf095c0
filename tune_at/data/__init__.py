"""Images and labels: where they come from, how they are split, which labels are noise, how batches are drawn."""
