"""Graphs: the model, its layout as text and numbers, its rendering as a PNG. No I/O."""
