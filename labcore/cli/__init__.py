"""Floor 6: one module per verb of the command line."""
