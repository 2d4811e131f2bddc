"""The integer runtime of a saved model: codes go from layer to layer, and no float tensor is multiplied.

    plan      which layers run on integers, and why the others do not; one pass
    layers    GCN, GraphSAGE and GIN as products and sums of codes
    operands  what stands between them: codes with their grid, dense, sparse or still float32
    sites     a saved quantizer, read as a grid

The numbers are the fake-quantized model's: every quantizer rounds the same value to the same grid, sums of codes are
exact where float32's are nearly so. Only a value that lies at a rounding boundary may take the other code.
"""
