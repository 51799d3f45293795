"""The laboratory: measures the usual comparison of the two families instead of repeating it.

`head_to_head` is the main job, `text` and `ddim_sweep` two more, `sample` draws from a saved model;
`measure` holds what is measured, `draw` what is drawn, `terminal` how a command speaks.
"""
