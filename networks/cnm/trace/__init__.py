"""What a packet would do on a host, rule by rule: a pure evaluator over the rules and the network of the host.

It never guesses: where a condition depends on more than the packet, or is not modelled, both outcomes are followed, and where
they differ the answer is "undecidable" and names the condition.
"""
