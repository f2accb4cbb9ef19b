"""Avro in columns: a batch's values into one frame, and a frame of lines into values.

Owns: decoding, the accept rule applied to columns, and encoding.
Promises: the same records and reasons as the contract's models give one by one, whatever a batch's neighbours are.
Must never: loop in Python over events, or know of pages and partitions.
"""
