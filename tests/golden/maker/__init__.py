"""Makes the golden files: small checkpoints, and transformers' answers on them."""
