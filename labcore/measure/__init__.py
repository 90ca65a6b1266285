"""Floor 4: load, samples, pairs, statistics, verdicts. Knows no picture."""
