"""Floor 3: scenarios, lanes, their processes and the conformance of both."""
