"""The order service: the subject of the checkout scenario."""
