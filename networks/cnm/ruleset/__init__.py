"""All rules of a host as one model, whoever wrote them and in whichever flavour: what an audit and a trace read.

Nothing is dropped: what the model does not understand is kept whole and marked so. Everything here is pure.
"""
