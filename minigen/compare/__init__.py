"""The laboratory: measures the usual comparison of the two families instead of repeating it."""
