"""Plugins of others: where they are, how they are asked, and whether they answer. Docker's plugin protocol, from the engine's side."""
