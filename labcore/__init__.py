"""The concurrency workbench: one service, several concurrency models, honest measurements.

The public faces (`compare`, `serve`, `load_run`, …) are re-exported here; the rooms behind them
stand on floors, each importing only from the floors below it.
"""
