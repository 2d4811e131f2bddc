"""Auto-bit selection (METHODS §5): which scheme of a space loses least, found with few measurements.

Pure ask/tell objects that know neither workers nor the store, and never hear a test metric: a space turns points into
scheme texts (engine.search.space), costs are the ledger's (engine.search.cost), algorithms choose what to measure
(engine.search.algorithms), and a search puts them in order, from the fp32 model to the winner's confirmation
(engine.search.course). ``tasks`` drives it.
"""
