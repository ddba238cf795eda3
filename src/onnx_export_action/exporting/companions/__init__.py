"""Files beside the ONNX files: those of the model that are copied, and what a client wants to be told of the files.

A client has one module, which goes from the files' records to JSON.
"""
