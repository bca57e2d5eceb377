"""Models of two towers in the layout of transformers: one config.json, as of CLIPModel and SiglipModel."""
