"""What the cells of the stream chapters call: small servers, real sockets, and everything that breaks them."""

from labcore.learn.stream_labs.coming_back import Deliveries, Plan, break_stream
from labcore.learn.stream_labs.falling_behind import Crowd, Standing, fall_behind
from labcore.learn.stream_labs.guess import Guess, GuessScore, guess
from labcore.learn.stream_labs.lives import Life, Lives, nine_lives, transitions

__all__ = [
    "Crowd",
    "Deliveries",
    "Guess",
    "GuessScore",
    "Life",
    "Lives",
    "Plan",
    "Standing",
    "break_stream",
    "fall_behind",
    "guess",
    "nine_lives",
    "transitions",
]
