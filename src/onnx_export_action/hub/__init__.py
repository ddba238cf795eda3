"""Publishing to the Hugging Face Hub: what is proven, the model card, the commit. Imports no torch."""
