"""The operators by family; each is a method of Flux, Mono or both."""
