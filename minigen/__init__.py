"""minigen: diffusion and autoregressive models from scratch in NumPy."""
