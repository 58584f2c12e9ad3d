"""The engine: claims due steps, runs them, records what came of it."""
