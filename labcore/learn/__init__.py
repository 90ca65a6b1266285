"""Floor 5: what makes a reader practise: models to play with, exercises, predictions."""

from labcore.learn.storm import Defence, Weather, storm

__all__ = ["Defence", "Weather", "storm"]
