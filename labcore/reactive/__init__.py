"""Floor 1: Flux and Mono, demand included, under the names of Project Reactor."""
