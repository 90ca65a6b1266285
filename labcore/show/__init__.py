"""Floor 5: a record in, a picture out: charts, marbles, report, widgets."""
