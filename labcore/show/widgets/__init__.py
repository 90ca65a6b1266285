"""Panels and live charts: what moves while a measurement runs. Everything here is optional skin."""

from labcore.show.widgets.form import Controls
from labcore.show.widgets.livechart import LiveChart
from labcore.show.widgets.panel import Panel

__all__ = ["Controls", "LiveChart", "Panel"]
