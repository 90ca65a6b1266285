"""The services under study, one folder each; lanes of a service lie side by side.

`labcore` never imports this package: services announce themselves through the entry-point group
`labcore.scenarios`.
"""
