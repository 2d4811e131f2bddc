"""A trained model as a file: truly packed weights in one safetensors file, and a readable JSON manifest beside it.

    engine.save(result, "model.safetensors")          also writes model.json
    exported = engine.load("model.safetensors")
    exported.predict(data)

The safetensors file has one tensor, ``packed``: the segments that the manifest lists, one after the other, and a
header that names the manifest by its SHA-256. Loading executes nothing that lies in the files.
"""

SUFFIX = ".safetensors"
MODEL = f"model{SUFFIX}"
"""A run's model in its folder of artifacts."""
