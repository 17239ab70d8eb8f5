"""One module per tracer: importing it switches the tracer on as its makers say, `flush` delivers the rest.

What differs between frameworks stands in a folder per family.
"""
