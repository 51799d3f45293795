"""How the large primitives are fast. `minigen.ops` gives them to everybody else."""
