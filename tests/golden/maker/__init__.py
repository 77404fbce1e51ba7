"""Makes the golden files: small checkpoints, and what transformers answers on them."""
