"""From a sweep's tables to the paper's figures. Needs neither torch nor Ray.

Each question has its file with `prepare_…(frames) → DataFrame` and `draw_…(frame) → Figure`.
"""
