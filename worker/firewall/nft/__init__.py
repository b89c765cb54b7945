"""The nftables backend: our rules in tables of our own, ``ip cnm`` and ``ip6 cnm``.

Rules stay data in the vocabulary of iptables; here they are rendered to nft's JSON (libnftables-json(5)) and parsed back from it:
``expressions`` one rule, ``lookups`` the rules that stand in maps and sets, ``table`` a whole table, ``backend`` the program itself.
"""
