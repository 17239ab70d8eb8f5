"""One module per tracer: importing it switches the tracer on as its makers say, `flush` delivers the rest."""
